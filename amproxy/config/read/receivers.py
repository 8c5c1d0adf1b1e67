"""One entry of a `*_configs` list: read by its kind's table, filled in from `global`, built.

Texts with `{{ }}` are Jinja2. Go templates, which a drop-in file has, are recognized and not run:
their integration loads, and is reported as undeliverable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from amproxy.config.channels import ChannelKind, channel_kinds, settings_fault
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.foreign_kinds import FOREIGN_KINDS
from amproxy.config.read.kinds import IntegrationKind
from amproxy.config.read.values import boolean, choice, raw, reference
from amproxy.config.structs import Integration, OncallSettings
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
# Syntax inside of {{ }} that only Go has: a value that begins with a dot or a dollar, in any place,
# its keywords, declarations and trimming dashes. The rest of Go fails as Jinja2 too.
_GO_TEMPLATE = re.compile(
    r"\{\{-|-\}\}"
    r"|\{\{\s*(?:[.$]|/\*|(?:if|else|end|range|with|template|block|define|break|continue)\b)"
    # not over the next {{, which is searched from by itself: many of them would take for ever
    r"|\{\{(?:(?!\{\{)[^}])*(?:[\s(|][.$](?:[A-Za-z_)\s]|$)|:=)"
)
_JINJA = ImmutableSandboxedEnvironment()


@cache
def integration_kinds() -> dict[str, IntegrationKind]:
    """Every kind of `*_configs` entry but `oncall`, in the order in which a receiver sends."""
    ours = {
        name: kind.integration
        for name, kind in channel_kinds().items()
        if kind.integration is not None
    }
    known = {**FOREIGN_KINDS, **ours}
    return {name: known[name] for name in (*_ORDER, *(ours.keys() - set(_ORDER)))}


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
        section.setdefault("http_config", defaults["http_config"])


def build_integration(kind: str, index: int, section: Section) -> Integration:
    """The struct of one entry; where amproxy cannot deliver it, a warning says why."""
    channel = channel_kinds().get(kind)
    settings = channel.build(section) if channel else dict(section)
    reason = _why_undeliverable(kind, channel, section, settings)
    if reason:
        section.cursor.warn("undeliverable", reason)
    for key in channel.unused if channel else ():
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


def _why_undeliverable(
    kind: str, channel: ChannelKind | None, section: Section, settings: Any
) -> Phrase | None:
    """The reason why amproxy cannot send this; None = it can."""
    if channel is None:
        return Phrase("undeliverable.not_built", {"kind": kind})
    go = next(go_template_keys(section), "")
    if go:
        return Phrase("undeliverable.go_template", {"key": go})
    for key in channel.templates:
        fault = jinja_fault(section.get(key, ""))
        if fault:
            return Phrase("undeliverable.template", {"key": key, "fault": fault})
    return settings_fault(settings) or channel.entry_fault(section, settings)


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


def is_go_template(text: str) -> bool:
    """Return True for a Go template."""
    return "{{" in text and _GO_TEMPLATE.search(text) is not None


def jinja_fault(text: str) -> PhraseValue:
    """The reason why a text is no Jinja2 template; "" = it is one, or plain text."""
    try:
        _JINJA.parse(text)
    except TemplateError as error:
        return error.message or Phrase("problem.not_a_template")
    except RecursionError:
        return Phrase("problem.nested_too_deep")
    return ""


def go_template_keys(values: Mapping[str, Any]) -> Iterator[str]:
    """The keys of an integration with a Go template in their value."""
    return (
        key
        for key, value in values.items()
        if key != "http_config" and any(map(is_go_template, _nested_texts(value)))
    )


def _nested_texts(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _nested_texts(item)
