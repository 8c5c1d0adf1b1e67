"""The `amproxy` command."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amproxy import __version__, clock
from amproxy.errors import AmproxyError, ConfigError

DEFAULT_CONFIG = "routes.yaml"


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its status."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        sys.exit(command(options))
    except ConfigError as error:
        for problem in error.problems:
            print(f"{problem.file}:{problem.line}:{problem.column}: error: {problem.message}", file=sys.stderr)
        sys.exit(1)
    except (AmproxyError, ValueError) as error:
        print(f"amproxy: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _serve(options: argparse.Namespace) -> int:
    _log_to_stderr()
    from amproxy.server.serve import ServeOptions, serve

    serve(
        ServeOptions(
            config=Path(options.config).resolve(), data_dir=Path(options.data_dir).resolve(), listen=options.listen, redis=options.redis,
            workers=options.workers, fd=options.fd, external_url=options.external_url, route_prefix=options.route_prefix,
            web_config=Path(options.web_config).resolve() if options.web_config else None,
        )
    )  # fmt: skip
    return 0


def _check(options: argparse.Namespace) -> int:
    from amproxy.calendars.fetch import schedule_warnings
    from amproxy.check.report import check_file, render_check_report
    from amproxy.grouping.maintenance import expired_window_warnings

    now = clock.utc(clock.now())
    found = check_file(
        Path(options.file or options.config), also=lambda config: (*schedule_warnings(config, now), *expired_window_warnings(config, now))
    )
    print(json.dumps(found, ensure_ascii=False, indent=2) if options.json else render_check_report(found))
    return 0 if found["ok"] and not (options.strict and found["warnings"]) else 1


def _explain(options: argparse.Namespace) -> int:
    from amproxy import times
    from amproxy.simulation import alert, explain

    config, roster = _load_config_and_roster(options, options.at)
    labels = _parse_labels(options.labels)
    at = times.parse_command_time(options.at, alert.zone_of_alert(config, labels), clock.now())
    _print(options, lambda: explain.explain(config, labels, at, roster), lambda: explain.explain_text(config, labels, at, roster))
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from amproxy import times
    from amproxy.simulation import alert, reports, simulate
    from amproxy.times import parse_duration

    config, roster = _load_config_and_roster(options, options.at)
    labels = _parse_labels(options.labels)
    at = times.parse_command_time(options.at, alert.zone_of_alert(config, labels), clock.now())
    asked = simulate.SimulationRequest(
        labels=labels,
        at=at,
        duration=parse_duration(options.duration) if options.duration else None,
        answers=[_parse_answer(text) for text in options.answer],
        resolve_after=parse_duration(options.resolve_after) if options.resolve_after else None,
    )
    _print(options, lambda: simulate.simulate(asked, roster), lambda: reports.simulate_text(asked, roster))
    return 0


def _replay(options: argparse.Namespace) -> int:
    from amproxy import times
    from amproxy.simulation import recorded, replay, reports

    _, roster = _load_config_and_roster(options, options.start)
    start, end = (times.parse_command_time(text, "UTC", clock.now()).timestamp() if text else None for text in (options.start, options.end))
    try:
        with Path(options.file).open("rb") as lines:
            found, broken = recorded.read_history(lines)
    except OSError as error:
        raise ValueError(f"{options.file} cannot be read: {error.strerror}") from None
    for one in broken:
        print(f"{options.file}:{one.line}: error: {one.message}", file=sys.stderr)
    done = replay.Replay(recorded.select_by_start(found, start, end), roster)
    _print(options, lambda: replay.replay_document(done, broken), lambda: reports.replay_text(done))
    return 1 if broken else 0


def _oncall(options: argparse.Namespace) -> int:
    from amproxy import times
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
    from amproxy import times
    from amproxy.simulation import oncall
    from amproxy.times import parse_duration

    config, roster = _load_config_and_roster(options, options.start)
    start = times.read_command_time(options.start, clock.now())
    seconds = parse_duration(options.duration) if options.duration else None
    _print(
        options,
        lambda: oncall.quality_reports(config, roster, options.schedule, start, seconds),
        lambda: oncall.quality_text(config, roster, options.schedule, start, seconds),
    )
    return 0


def _load_config_and_roster(options: argparse.Namespace, at: str) -> tuple[Any, Any]:
    from amproxy import times
    from amproxy.calendars.fetch import offline_roster
    from amproxy.config.loader import load

    config = load(options.config).config
    return config, offline_roster(config, times.resolve_command_time(times.read_command_time(at, clock.now()), "UTC"))


def _parse_labels(words: list[str]) -> dict[str, str]:
    labels = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"{word!r} is no LABEL=VALUE")
        labels[name] = value.strip('"') if value.startswith('"') else value
    return {name: value for name, value in labels.items() if value}


def _parse_answer(text: str) -> tuple[str, float]:
    from amproxy.times import parse_duration

    user, at, duration = text.partition("@")
    if not at or not user:
        raise ValueError(f"{text!r} is no USER@DURATION")
    return user, parse_duration(duration)


def _positive_integer(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _print(options: argparse.Namespace, document: Callable[[], Any], text: Callable[[], str]) -> None:
    print(json.dumps(document(), ensure_ascii=False, indent=2) if options.json else text())


def _log_to_stderr() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s level=%(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs, and URLs of chats are secrets
    logging.getLogger("httpcore").setLevel(logging.WARNING)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="amproxy", description="An Alertmanager-compatible routing proxy that knows who is on call.")
    parser.add_argument("--version", action="version", version=f"amproxy {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=run)
        made.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE", help="the file (default: %(default)s)")
        return made

    def looking(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = command(name, run, text)
        made.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else")
        made.add_argument("--at", metavar="TIME", help="RFC 3339, or a wall-clock time in the schedule's zone (default: now)")
        return made

    serving = command("serve", _serve, "Run the service.")
    serving.add_argument("--listen", default="", metavar="HOST:PORT", help="instead of the file's; port 0 picks a free one")
    serving.add_argument("--redis", default="", metavar="URL", help="instead of the file's: embedded, redis://, rediss:// or unix://")
    serving.add_argument(
        "--data-dir", default=".data", metavar="DIR", help="where the embedded Redis keeps its data (default: %(default)s)"
    )
    serving.add_argument("--workers", type=_positive_integer, default=1, metavar="N", help="processes (default: 1)")
    serving.add_argument(
        "--web.external-url",
        dest="external_url",
        default="",
        metavar="URL",
        help="what links in messages begin with, instead of the file's",
    )
    serving.add_argument(
        "--web.route-prefix", dest="route_prefix", default="", metavar="PATH",
        help="serve below this path (default: the path of the external URL)",
    )  # fmt: skip
    serving.add_argument(
        "--web.config.file", dest="web_config", default="", metavar="FILE", help="TLS and basic auth, in the form of the Prometheus family"
    )
    serving.add_argument("--fd", type=int, default=-1, help=argparse.SUPPRESS)

    checking = command("check", _check, "Check a file: errors with their place, and what is doubtful.")
    checking.add_argument("file", nargs="?", metavar="FILE")
    checking.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else")
    checking.add_argument("--strict", action="store_true", help="warnings count as errors")

    explaining = looking("explain", _explain, "Say where an alert goes and why, and whom it pages.")
    explaining.add_argument("labels", nargs="+", metavar="LABEL=VALUE")

    simulating = looking("simulate", _simulate, "Show the pages of an alert under a virtual clock: no Redis, no network.")
    simulating.add_argument("labels", nargs="+", metavar="LABEL=VALUE")
    simulating.add_argument("--for", dest="duration", metavar="DURATION", help="how long to look (default: until the policy ends)")
    simulating.add_argument("--answer", action="append", default=[], metavar="USER@DURATION", help="somebody acknowledges after so long")
    simulating.add_argument("--resolve-after", metavar="DURATION", help="the alert ends after so long (default: it keeps firing)")

    replaying = command("replay", _replay, "Say whom the file would have paged differently over an exported history.")
    replaying.add_argument("file", metavar="HISTORY", help="lines of JSON, as GET /api/v1/history gives them")
    replaying.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else")
    replaying.add_argument("--from", dest="start", metavar="TIME", help="only incidents that began then or later")
    replaying.add_argument("--to", dest="end", metavar="TIME", help="only incidents that began before then")

    listing = looking("oncall", _oncall, "Say who is on call now or then, and who is next.")
    listing.add_argument("schedule", nargs="?", metavar="SCHEDULE")

    made = commands.add_parser("hash-password", help="Print the hash of a password, for users in the file.")
    made.description = "Ask for a password (or read a line from stdin), and print its hash for password_hash of a user."
    made.set_defaults(command=_hash_password)

    judging = command("quality", _quality, "Say how good schedules are: gaps, people on call twice or hidden, who carries how much.")
    judging.add_argument("schedule", nargs="?", metavar="SCHEDULE")
    judging.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else")
    judging.add_argument("--from", dest="start", metavar="TIME", help="as --at of the other commands (default: now)")
    judging.add_argument("--for", dest="duration", metavar="DURATION", help="how long to look, 366d at most (default: 90d)")
    return parser
