"""One entry of a `*_configs` list: read by its kind's table, filled in from `global`, built.

Texts of a `*_configs` entry are Go templates, as Alertmanager's; the title of `oncall_configs`,
which is amproxy's own, is Jinja2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from msgspec import structs
from msgspec.structs import replace

from amproxy.config.channels import ChannelKind, channel_kind, channel_kinds
from amproxy.config.go_templates import go_templates
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.kinds import IntegrationKind
from amproxy.config.read.values import boolean, choice, raw, reference
from amproxy.config.structs import Integration, OncallSettings, Struct
from amproxy.gotemplate.errors import GoParseError
from amproxy.secret import Secret
from amproxy.text import Phrase, PhraseValue
from amproxy.text.problems import alternatives

# In the order in which Alertmanager sends; amproxy's own kinds come last.
_ORDER: Final = (
    *("webhook", "email", "pagerduty", "opsgenie", "wechat", "slack", "victorops", "pushover"),
    *("sns", "telegram", "discord", "webex", "msteams", "msteamsv2", "jira", "incidentio"),
    *("rocketchat", "mattermost"),
)
_ONCALL: Final[dict[str, Reader]] = {
    "send_resolved": boolean,
    "escalation_policy": reference("escalation_policies", "problem.no_escalation_policy"),
    "title": raw,
    "urgency": choice("default", "important"),
}


@cache
def integration_kinds() -> dict[str, IntegrationKind]:
    """Every kind of `*_configs` entry but `oncall`, in the order in which a receiver sends."""
    ours = {
        name: kind.integration
        for name, kind in channel_kinds().items()
        if kind.integration is not None
    }
    return {name: ours[name] for name in (*_ORDER, *(ours.keys() - set(_ORDER)))}


def read_integration(kind: str, defaults: Section, at: Cursor) -> Section:
    """Read and check one entry, filled in from `defaults`, the keys of `global`."""
    table = integration_kinds()[kind]
    section = at.section(table.keys)
    for group in table.at_most:
        section.exclusive(*group)
    _inherit_from_global(section, table, defaults)
    table.check(section)
    for group in table.one_of:
        if not any(section.get(key) or section.given(key) for key in group):
            from_global = [table.inherited[key] for key in group if key in table.inherited]
            why = from_global and Phrase(
                "problem.why_here_or_global", {"keys": alternatives(from_global)}
            )
            section.require(*group, why=why or None)
    for key, value in {"send_resolved": table.send_resolved, **table.defaults}.items():
        section.setdefault(key, value)
    return section


def _inherit_from_global(section: Section, table: IntegrationKind, defaults: Section) -> None:
    # A key given here excludes its whole group: its twin from `global` would contradict it.
    closed = {key for group in table.at_most if section.given(*group) for key in group}
    if "authorization" in section.get("http_config", {}):
        closed |= {"app_token", "app_token_file"}  # its own authorization replaces them
    for key, source in table.inherited.items():
        if source in defaults and key not in closed and not section.given(key):
            section[key] = defaults[source]
    if "http_config" in table.keys:
        if table.inherits_proxy:
            _inherit_proxy(section.get("http_config"), defaults["http_config"])
        section.setdefault("http_config", defaults["http_config"])


def _inherit_proxy(http: Section | None, default: Section) -> None:
    by_itself = http is None or http.given("proxy_url") or http.get("proxy_from_environment")
    if http is not None and not by_itself and "proxy_url" in default:
        http["proxy_url"] = default["proxy_url"]


def build_integration(kind: str, index: int, section: Section) -> Integration:
    """The struct of one entry; where amproxy cannot deliver it, a warning says why."""
    channel = channel_kind(kind)
    settings = _build_settings(channel, section)
    reason = channel.entry_fault(section, settings)
    if reason:
        section.cursor.warn("undeliverable", reason)
    for key in channel.unused:
        if section.given(key):
            section.cursors[key].warn("unused", Phrase("problem.unused_key", {"key": key}))
    return Integration(
        kind=kind,
        index=index,
        send_resolved=section["send_resolved"],
        settings=settings,
        undeliverable=reason,
        place=section.cursor.place,
    )


def _build_settings(channel: ChannelKind, section: Section) -> Any:
    """The settings of an entry, with the default texts of keys that it leaves out."""
    settings = channel.build(section)
    # what is written as nothing is a template of nothing by now (kinds.written_texts)
    missing = {
        name: text for name, text in channel.default_texts.items() if not getattr(settings, name)
    }
    for name in channel.templates:
        check_template(section, name, getattr(settings, name))
    return replace(settings, **missing) if missing else settings


def check_template(section: Section, key: str, value: Any) -> None:
    """Warn of a text that is no template: its message has the default text in its place."""
    templates = go_templates(section.cursor.document.templates)
    for text in nested_texts(value):
        if "{{" not in text:
            continue
        try:
            templates.compile(text)
        except GoParseError as error:
            place = section.cursors.get(key, section.cursor)
            fault: dict[str, PhraseValue] = {"key": key, "line": error.line}
            fault |= {"column": error.column, "fault": error.reason}
            place.warn("template", Phrase("problem.template", fault))


def read_oncall_integration(at: Cursor, index: int) -> Integration | None:
    """An entry of oncall_configs; None where it is broken."""
    section = at.section(_ONCALL)
    section.require("escalation_policy", why=Phrase("problem.why_policy"))
    fault = jinja_fault(section.get("title", ""))
    if fault:
        section.error("title", "problem.no_template", fault=fault)
    if "escalation_policy" not in section:
        return None
    return Integration(
        kind="oncall",
        index=index,
        send_resolved=section.get("send_resolved", True),
        settings=OncallSettings(**section.pick("escalation_policy", "title", "urgency")),
        place=at.place,
    )


def jinja_fault(text: str) -> PhraseValue:
    """The reason why a text is no Jinja2 template; "" = it is one, or plain text."""
    if "{" not in text:
        return ""
    # here: most files have no such text
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        ImmutableSandboxedEnvironment().parse(text)
    except TemplateError as error:
        return error.message or Phrase("problem.not_a_template")
    except RecursionError:
        return Phrase("problem.nested_too_deep")
    return ""


def nested_texts(value: Any) -> Iterator[str]:
    """The texts of a value, those in its lists, maps (with their keys) and structs too."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Struct):
        yield from nested_texts(list(structs.asdict(value).values()))
    elif isinstance(value, Mapping):
        yield from nested_texts([*value, *value.values()])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from nested_texts(item)
