"""The `amproxy` command.

Each command imports what it needs by itself: the service is large, and `amproxy check` must start
at once.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amproxy import __version__, clock, times
from amproxy.errors import AmproxyError, ConfigError, StoreUnavailable, os_error_words
from amproxy.log import FORMATS, LEVELS, EventLog, WholeText, begin_log
from amproxy.server.alertmanager_options import (
    add_alertmanager_options,
    go_seconds,
    in_alertmanagers_place,
    listen_address,
    matcher_mode,
    why_without_effect,
)

DEFAULT_CONFIG = "routes.yaml"
REDIS_WAIT = 5.0  # seconds that `check --running` waits for Redis
JSON_HELP = "one JSON document on stdout, and nothing else"
WHERE_HELP = "a URL of Redis, or the data folder of the embedded one"

log = EventLog(__name__)

Run = Callable[[argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its status: 0, 1 for errors, 2 for wrong options."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(["serve", *given] if in_alertmanagers_place(given) else given)
    command: Run = options.command
    try:
        status = command(options)
        sys.stdout.flush()  # here, where a full disk is words and not a traceback
        sys.exit(status)
    except ConfigError as error:
        for problem in error.problems:
            print(
                f"{problem.file}:{problem.line}:{problem.column}: error: {problem.message}",
                file=sys.stderr,
            )
        sys.exit(1)
    except (AmproxyError, ValueError) as error:
        print(f"amproxy: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _drop_output()  # as in `amproxy … | head`
    except OSError as error:
        # What each part expects it says itself; any other refusal of the system is said here.
        place = f"{error.filename}: " if error.filename else ""
        print(f"amproxy: {place}{os_error_words(error)}", file=sys.stderr)
        _drop_output()
        sys.exit(1)


def _drop_output() -> None:
    """Have Python not complain when it flushes stdout at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="amproxy",
        description="An Alertmanager-compatible routing proxy that knows who is on call.",
    )
    parser.add_argument("--version", action="version", version=f"amproxy {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_check(commands)
    _add_explain(commands)
    _add_simulate(commands)
    _add_replay(commands)
    _add_oncall(commands)
    _add_hash_password(commands)
    _add_quality(commands)
    _add_repair(commands)
    _add_backup(commands)
    _add_restore(commands)
    _add_template(commands)
    return parser


def _add_command(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(command=run)
    command.add_argument(
        "--config", default=DEFAULT_CONFIG, metavar="FILE", help="the file (default: %(default)s)"
    )
    return command


def _add_query(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a command that has --json and --at."""
    command = _add_command(commands, name, run, text)
    command.add_argument("--json", action="store_true", help=JSON_HELP)
    command.add_argument(
        "--at",
        metavar="TIME",
        help="RFC 3339, or a wall-clock time in the schedule's zone (default: now)",
    )
    return command


def _add_serve(commands: Any) -> None:
    command = _add_command(commands, "serve", _serve, "Run the service.")

    def add(option: str, metavar: str, text: str, **more: Any) -> None:
        command.add_argument(option, metavar=metavar, help=text, **{"default": "", **more})

    add("--listen", "HOST:PORT", "instead of the file's; port 0 picks a free one")
    add("--redis", "URL", "instead of the file's: embedded, redis://, rediss:// or unix://")
    data_dir = "where the embedded Redis keeps its data (default: %(default)s)"
    add("--data-dir", "DIR", data_dir, default=".data")
    add("--workers", "N", "processes (default: 1)", type=_positive_integer, default=1)
    # the names of Alertmanager's options, so that its start scripts work unchanged
    external_url = "what links in messages begin with, instead of the file's"
    add("--web.external-url", "URL", external_url, dest="external_url")
    route_prefix = "serve below this path (default: the path of the external URL)"
    add("--web.route-prefix", "PATH", route_prefix, dest="route_prefix")
    web_config = "TLS and basic auth, in the form of the Prometheus family"
    add("--web.config.file", "FILE", web_config, dest="web_config")
    log_format = "one line an event: logfmt or json (default: %(default)s)"
    add("--log.format", "FORMAT", log_format, dest="log_format", default="logfmt", choices=FORMATS)
    log_level = "debug, info, warn or error (default: %(default)s)"
    add("--log.level", "LEVEL", log_level, dest="log_level", default="info", choices=LEVELS)
    _add_alertmanager_names(command)
    # for the workers of `serve --workers`: the socket that they inherit
    command.add_argument("--fd", type=int, default=-1, help=argparse.SUPPRESS)


def _add_check(commands: Any) -> None:
    text = "Check a file: errors with their place, and what is doubtful."
    command = _add_command(commands, "check", _check, text)
    command.add_argument("file", nargs="?", metavar="FILE")
    command.add_argument("--json", action="store_true", help=JSON_HELP)
    command.add_argument("--strict", action="store_true", help="warnings count as errors")
    running = (
        "Redis URL or data folder of a running service: warn of open incidents that lose people, "
        "and know who takes pushes"
    )
    command.add_argument("--running", metavar="WHERE", help=running)


def _add_explain(commands: Any) -> None:
    text = "Say where an alert goes and why, and whom it pages."
    command = _add_query(commands, "explain", _explain, text)
    command.add_argument("labels", nargs="*", metavar="LABEL=VALUE")
    source = "explain the alerts of --body, as a push to /webhook/NAME brings them"
    command.add_argument("--source", metavar="NAME", help=source)
    command.add_argument("--body", metavar="FILE", help="what the source sends; - is stdin")


def _add_simulate(commands: Any) -> None:
    text = "Show the pages of an alert under a virtual clock: no Redis, no network."
    command = _add_query(commands, "simulate", _simulate, text)
    command.add_argument("labels", nargs="+", metavar="LABEL=VALUE")
    command.add_argument(
        "--for",
        dest="duration",
        metavar="DURATION",
        help="how long to look (default: until the policy ends)",
    )
    command.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="USER@DURATION",
        help="somebody acknowledges after so long",
    )
    command.add_argument(
        "--resolve-after",
        metavar="DURATION",
        help="the alert ends after so long (default: it keeps firing)",
    )
    span = "from and until when, after the first alert; both may miss"
    command.add_argument(
        "--alert",
        action="append",
        default=[],
        metavar="'LABEL=VALUE … @FROM-UNTIL'",
        help=f"another alert that fires ({span})",
    )
    command.add_argument(
        "--silence",
        action="append",
        default=[],
        metavar="'MATCHERS @FROM-UNTIL'",
        help=f"somebody silences the alerts that match ({span})",
    )
    command.add_argument(
        "--window",
        action="append",
        default=[],
        metavar="'MATCHERS @FROM-UNTIL'",
        help=f"somebody makes a maintenance window ({span})",
    )


def _add_replay(commands: Any) -> None:
    text = "Say whom the file would have paged differently over an exported history."
    command = _add_command(commands, "replay", _replay, text)
    command.add_argument(
        "file", metavar="HISTORY", help="lines of JSON, as GET /api/v1/history gives them"
    )
    command.add_argument("--json", action="store_true", help=JSON_HELP)
    start = "only incidents that began then or later"
    command.add_argument("--from", dest="start", metavar="TIME", help=start)
    end = "only incidents that began before then"
    command.add_argument("--to", dest="end", metavar="TIME", help=end)


def _add_oncall(commands: Any) -> None:
    text = "Say who is on call now or then, and who is next."
    command = _add_query(commands, "oncall", _oncall, text)
    command.add_argument("schedule", nargs="?", metavar="SCHEDULE")


def _add_hash_password(commands: Any) -> None:
    text = "Print the hash of a password, for users in the file."
    command = commands.add_parser("hash-password", help=text)
    command.description = (
        "Ask for a password (or read a line from stdin), and print its hash for password_hash of "
        "a user."
    )
    command.set_defaults(command=_hash_password)


def _add_quality(commands: Any) -> None:
    text = "Say how good schedules are: gaps, people on call twice or hidden, who carries how much."
    command = _add_command(commands, "quality", _quality, text)
    command.add_argument("schedule", nargs="?", metavar="SCHEDULE")
    command.add_argument("--json", action="store_true", help=JSON_HELP)
    start = "as --at of the other commands (default: now)"
    command.add_argument("--from", dest="start", metavar="TIME", help=start)
    length = "how long to look, 366d at most (default: 90d)"
    command.add_argument("--for", dest="duration", metavar="DURATION", help=length)


def _add_repair(commands: Any) -> None:
    text = "Mend the embedded Redis' append-only file: copy it, then cut off what is damaged."
    command = commands.add_parser("repair", help=text, description=text)
    command.set_defaults(command=_repair)
    data_dir = "of `amproxy serve`, which must not run (default: %(default)s)"
    command.add_argument("--data-dir", default=".data", metavar="DIR", help=data_dir)


def _add_backup(commands: Any) -> None:
    text = "Write all that amproxy keeps in Redis into a file, as lines of JSON."
    command = commands.add_parser("backup", help=text, description=text)
    command.set_defaults(command=_back_up)
    command.add_argument("where", metavar="WHERE", help=WHERE_HELP)
    command.add_argument(
        "file", metavar="FILE", help="is made, for this user alone; it has secrets"
    )


def _add_restore(commands: Any) -> None:
    text = "Store what `amproxy backup` wrote, in the same Redis or in another."
    command = commands.add_parser("restore", help=text, description=text)
    command.set_defaults(command=_restore)
    command.add_argument("file", metavar="FILE", help="of `amproxy backup`")
    command.add_argument("where", metavar="WHERE", help=WHERE_HELP)
    replace = "delete what amproxy has there before"
    command.add_argument("--replace", action="store_true", help=replace)


def _add_template(commands: Any) -> None:
    text = "Render a template as receivers do, with the flags of `amtool template render`."
    outer = commands.add_parser("template", help=text, description=text)
    inner = outer.add_subparsers(metavar="COMMAND", required=True)
    command = inner.add_parser("render", help=text, description=text)
    command.set_defaults(command=_render_template)
    globs = "files whose templates the text may use; may be repeated"
    command.add_argument("--template.glob", dest="globs", action="append", default=[], help=globs)
    command.add_argument("--template.text", dest="text", required=True, help="what is rendered")
    command.add_argument("--template.type", dest="type", choices=("text", "html"), default="text")
    data = "JSON as Alertmanager's webhooks send it (default: an example)"
    command.add_argument("--template.data", dest="data", metavar="FILE", help=data)


def _add_alertmanager_names(command: argparse.ArgumentParser) -> None:
    """Add Alertmanager's options beside amproxy's own, so that its start scripts work unchanged."""
    same = argparse.SUPPRESS
    command.add_argument("--config.file", dest="config", default=same, help="as --config")
    command.add_argument("--storage.path", dest="data_dir", default=same, help="as --data-dir")
    command.add_argument(
        "--web.listen-address",
        dest="listen_addresses",
        type=listen_address,
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="as --listen; without a host, every address",
    )
    command.add_argument(
        "--enable-feature",
        dest="matcher_mode",
        type=matcher_mode,
        default="",
        metavar="NAMES",
        help="classic-mode or utf8-strict-mode; Alertmanager's others have no effect",
    )
    command.add_argument(
        "--dispatch.start-delay",
        dest="start_delay",
        type=go_seconds,
        default=0.0,
        metavar="DURATION",
        help="notify of nothing until so long after the start (default: 0s)",
    )
    add_alertmanager_options(command)


def _serve(options: argparse.Namespace) -> int:
    begin_log(options.log_format, options.log_level)
    # Nothing that is imported is garbage, and the collector would walk all of it a dozen times:
    # a tenth of a start. It works again as soon as the service begins (server/serve.py).
    gc.disable()
    from amproxy.config.loader import MATCHER_MODE_VARIABLE
    from amproxy.server.serve import ServeOptions, serve

    if options.matcher_mode:
        os.environ[MATCHER_MODE_VARIABLE] = options.matcher_mode
    for option in dict.fromkeys(options.without_effect):
        log.info("option without effect", option=option, instead=why_without_effect(option))
    listen = [options.listen, *options.listen_addresses] if options.listen else None
    listen = listen or options.listen_addresses
    if len(listen) > 1:
        raise ValueError("amproxy listens on one address: --web.listen-address is given twice")
    try:
        serve(
            ServeOptions(
                # as written: a link is followed at each load, for it may be turned to another file
                config=Path(options.config).absolute(),
                data_dir=Path(os.path.realpath(options.data_dir)),
                listen=listen[0] if listen else "",
                redis=options.redis,
                workers=options.workers,
                fd=options.fd,
                external_url=options.external_url,
                route_prefix=options.route_prefix,
                web_config=Path(options.web_config).absolute() if options.web_config else None,
                log_format=options.log_format,
                log_level=options.log_level,
                start_delay=options.start_delay,
            )
        )
    except ConfigError as error:
        for problem in error.problems:
            log.error("cannot start", error=WholeText(problem))
        return 1
    except (AmproxyError, ValueError) as error:
        log.error("cannot go on", error=WholeText(error))
        return 1
    if options.fd < 0:  # not of each worker
        log.info("amproxy ended", pid=os.getpid())
    return 0


def _check(options: argparse.Namespace) -> int:
    from dataclasses import replace
    from functools import cache

    from amproxy.calendars.fetch import schedule_warnings
    from amproxy.check.report import check_config, render_check_report
    from amproxy.config.loader import LoadedConfig, load, source_lines
    from amproxy.config.subscriptions import with_subscriptions
    from amproxy.grouping.maintenance import expired_window_warnings
    from amproxy.machine.lost_names import loss_warnings

    now = clock.utc(clock.now())
    path = Path(options.file or options.config)
    running, devices = _load_running(options.running) if options.running else ([], None)

    def load_file() -> LoadedConfig:
        loaded = load(path)
        if devices is None:
            return loaded
        return replace(loaded, config=with_subscriptions(loaded.config, devices, ""))

    found = check_config(
        load_file,
        also=lambda config: (
            *schedule_warnings(config, now),
            *expired_window_warnings(config, now),
            *loss_warnings(config, running),
        ),
    )
    print(
        json.dumps(found, ensure_ascii=False, indent=2)
        if options.json
        else render_check_report(found, cache(source_lines))
    )
    return 0 if found["ok"] and not (options.strict and found["warnings"]) else 1


def _load_running(where: str) -> tuple[list[Any], list[Any]]:
    """The open incidents of a running service, and the devices that take pushes.

    where: Redis URL or data folder.

    Raises StoreUnavailable.
    """
    import asyncio

    from amproxy.store.embedded import socket_url
    from amproxy.store.incidents import load_open
    from amproxy.store.subscriptions import load_subscriptions
    from amproxy.store.wire import Wire

    async def load() -> tuple[list[Any], list[Any]]:
        wire = Wire(where if "://" in where else socket_url(Path(where)))
        wire.open()
        try:
            async with asyncio.timeout(REDIS_WAIT):
                await wire.connected()
            return await load_open(wire), await load_subscriptions(wire)
        except TimeoutError:
            # Not the URL, which may have a password.
            raise StoreUnavailable("the Redis of --running does not answer") from None
        finally:
            await wire.close()

    return asyncio.run(load())


def _explain(options: argparse.Namespace) -> int:
    from amproxy.simulation import alert, explain

    if (options.source is None) != (options.body is None):
        raise ValueError("--source and --body belong together")
    if bool(options.labels) == (options.body is not None):
        raise ValueError("give either LABEL=VALUE or --source NAME --body FILE")
    config, roster = _load_config_and_roster(options, options.at)
    if options.body is not None:
        return _explain_body(options, config, roster)
    labels = alert.parse_labels(options.labels)
    at = times.parse_command_time(options.at, alert.zone_of_alert(config, labels), clock.now())
    _print(
        options,
        lambda: explain.explain(config, labels, at, roster),
        lambda: explain.explain_text(config, labels, at, roster),
    )
    return 0


def _explain_body(options: argparse.Namespace, config: Any, roster: Any) -> int:
    from amproxy.accept.explain import UnderstoodAlert, understand
    from amproxy.simulation import alert, explain
    from amproxy.simulation.terminal import wrap_hanging

    body = sys.stdin.buffer.read() if options.body == "-" else Path(options.body).read_bytes()
    now = clock.now()
    understood = understand(body, config, options.source, int(now * 10**9))

    def time_of(one: UnderstoodAlert) -> Any:
        return times.parse_command_time(options.at, alert.zone_of_alert(config, one.labels), now)

    def document(one: UnderstoodAlert) -> dict[str, Any]:
        if one.state != "firing":
            return one.document()
        where = explain.explain(config, one.labels, time_of(one), roster)
        return {**one.document(), "explained": where}

    def text(one: UnderstoodAlert) -> str:
        lines = [line for name, said in one.lines() for line in wrap_hanging(f"{name:<10}", said)]
        if one.state == "firing":
            where = explain.explain_text(config, one.labels, time_of(one), roster)
            lines += ["", where]
        return "\n".join(lines)

    _print(
        options,
        lambda: [document(one) for one in understood],
        lambda: "\n\n".join(map(text, understood)) or "The body brings no alert.",
    )
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from amproxy.simulation import alert, reports, simulate

    config, roster = _load_config_and_roster(options, options.at)
    labels = alert.parse_labels(options.labels)
    at = times.parse_command_time(options.at, alert.zone_of_alert(config, labels), clock.now())
    request = simulate.SimulationRequest(
        labels=labels,
        at=at,
        duration=_seconds(options.duration),
        answers=[_parse_answer(text) for text in options.answer],
        resolve_after=_seconds(options.resolve_after),
        others=list(map(simulate.parse_alert, options.alert)),
        silences=[simulate.parse_silence(text, at) for text in options.silence],
        windows=[simulate.parse_window(text, at) for text in options.window],
    )
    _print(
        options,
        lambda: simulate.simulate(request, roster),
        lambda: reports.simulate_text(request, roster),
    )
    return 0


def _replay(options: argparse.Namespace) -> int:
    from amproxy.simulation import recorded, replay, reports

    _, roster = _load_config_and_roster(options, options.start)
    start, end = (
        times.parse_command_time(text, "UTC", clock.now()).timestamp() if text else None
        for text in (options.start, options.end)
    )
    try:
        with Path(options.file).open("rb") as lines:
            incidents, broken = recorded.read_history(lines)
    except OSError as error:
        raise ValueError(f"{options.file} cannot be read: {error.strerror}") from None
    for line in broken:  # reported, and the rest replayed all the same
        print(f"{options.file}:{line.line}: error: {line.message}", file=sys.stderr)
    done = replay.Replay(recorded.select_by_start(incidents, start, end), roster)
    _print(options, lambda: replay.replay_document(done, broken), lambda: reports.replay_text(done))
    return 1 if broken else 0


def _oncall(options: argparse.Namespace) -> int:
    from amproxy.simulation import oncall

    config, roster = _load_config_and_roster(options, options.at)
    at = times.read_command_time(options.at, clock.now())
    _print(
        options,
        lambda: oncall.oncall_reports(config, roster, options.schedule, at),
        lambda: oncall.oncall_text(config, roster, options.schedule, at),
    )
    return 0


def _hash_password(options: argparse.Namespace) -> int:
    import getpass

    from amproxy.web.signin.passwords import MAX_PASSWORD_LENGTH, hash_password

    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise ValueError("the two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password or len(password) > MAX_PASSWORD_LENGTH:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_LENGTH} characters")
    print(hash_password(password))
    return 0


def _quality(options: argparse.Namespace) -> int:
    from amproxy.simulation import oncall

    config, roster = _load_config_and_roster(options, options.start)
    start = times.read_command_time(options.start, clock.now())
    seconds = _seconds(options.duration)
    _print(
        options,
        lambda: oncall.quality_reports(config, roster, options.schedule, start, seconds),
        lambda: oncall.quality_text(config, roster, options.schedule, start, seconds),
    )
    return 0


def _repair(options: argparse.Namespace) -> int:
    from amproxy.store.repair import repair

    done = repair(Path(options.data_dir))
    if done.copy is None:
        print(f"fine: nothing is damaged, {done.kept} commands; nothing was changed")
        return 0
    print(f"damaged: {done.file}")
    print(f"copied to: {done.copy}")
    print(
        f"dropped: {done.dropped_bytes} bytes with {done.dropped_commands} whole commands; "
        f"kept: {done.kept} commands"
    )
    return 0


def _back_up(options: argparse.Namespace) -> int:
    import asyncio

    from amproxy.store import backup
    from amproxy.store.replicas import load_replicas

    async def run() -> tuple[int, int]:
        async with backup.opened(options.where) as wire:
            running = len(await load_replicas(wire))
            # not over another one: that may be the last that is whole
            try:
                target = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                raise ValueError(f"{options.file} is there already") from None
            with os.fdopen(target, "wb") as file:
                return await backup.back_up(wire, file, clock.now()), running

    backup.refuse_empty_folder(options.where)
    found, running = asyncio.run(run())
    print(f"saved: {found} keys in {options.file}")
    if running:
        print(
            "an amproxy runs there, so that the file has keys of different moments: "
            "to move the state, stop all replicas first"
        )
    return 0


def _restore(options: argparse.Namespace) -> int:
    import asyncio

    from amproxy.store import backup

    async def run() -> int:
        async with backup.opened(options.where) as wire:
            return await backup.restore(wire, Path(options.file), replace=options.replace)

    print(f"restored: {asyncio.run(run())} lines of {options.file}")
    return 0


def _render_template(options: argparse.Namespace) -> int:
    import msgspec

    from amproxy.check.texts import example_data
    from amproxy.config.go_templates import go_templates, load_templates
    from amproxy.gotemplate.alertmanager_data import data_from_json
    from amproxy.gotemplate.errors import GoTemplateError

    data = example_data()
    if options.data:
        data = data_from_json(msgspec.json.decode(Path(options.data).read_bytes()))
    try:
        template = go_templates(load_templates(options.globs, Path())).compile(
            options.text, html=options.type == "html"
        )
        print(template.render(data, int(clock.now() * 10**9)))
    except GoTemplateError as error:
        raise ValueError(str(error)) from None
    return 0


def _load_config_and_roster(options: argparse.Namespace, at: str) -> tuple[Any, Any]:
    """The file, and its roster with the calendars of the time: there is no service to ask."""
    from amproxy.calendars.fetch import offline_roster
    from amproxy.config.loader import load

    config = load(options.config).config
    time = times.resolve_command_time(times.read_command_time(at, clock.now()), "UTC")
    return config, offline_roster(config, time)


def _parse_answer(text: str) -> tuple[str, float]:
    """A user, and the seconds until their acknowledgement. Raises ValueError."""
    user, at, duration = text.partition("@")
    if not at or not user:
        raise ValueError(f"{text!r} is no USER@DURATION")
    return user, times.parse_duration(duration)


def _seconds(duration: str | None) -> float | None:
    return times.parse_duration(duration) if duration else None


def _positive_integer(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _print(
    options: argparse.Namespace, document: Callable[[], Any], text: Callable[[], str]
) -> None:
    print(json.dumps(document(), ensure_ascii=False, indent=2) if options.json else text())
