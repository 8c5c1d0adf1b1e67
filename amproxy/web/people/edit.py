"""/change/person and /change/team: a new entry, or contacts, rules and members, by a form.

The form judges nothing: what somebody writes goes to the loader of the file. What the form does
not change keeps its spelling in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.config import channels
from amproxy.config.structs import Config
from amproxy.edit.change import ConfigEntryChange, SectionName
from amproxy.errors import ConfigProblem, NotFound, Uneditable
from amproxy.text import Phrase
from amproxy.web.config.change import load_sections, preview_change, require_change_allowed
from amproxy.web.config.page import SourceForm, render_preview
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import Forbidden
from amproxy.web.http.request import parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates

Fields = Mapping[str, Sequence[str]]  # of a form
Entry = Mapping[str, Any]  # of the file

SPARE_ROWS: Final = 2  # empty rows beneath those that are filled in
MAX_ROWS: Final = 50
WAIT: Final = "wait"  # in the place of a channel, in a row of a rule
_TEXTS: Final = ("full_name", "timezone", "holidays")


class PeopleEditPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._deps, self._context, self._templates = deps, deps.context, templates

    def routes(self) -> list[Route]:
        forms: list[tuple[str, SectionName, Callable[[Fields, Entry], dict[str, Any]]]] = [
            ("/change/person", "users", person_changes),
            ("/change/team", "teams", team_changes),
        ]
        return [
            *(
                Route(path, partial(self.show, section), methods=["GET"])
                for path, section, _ in forms
            ),
            *(
                Route(path, partial(self.submit, section, read), methods=["POST"])
                for path, section, read in forms
            ),
        ]

    async def show(self, section: SectionName, request: Request) -> Response:
        """The form of the query's `name`, as the file has it; without a name that of a new one.

        Readers who may not change it are led to the page that shows it.
        """
        name = request.query_params.get("name", "")
        try:
            self._require_allowed(request, section, name)
        except Forbidden:
            return RedirectResponse("/people", 303)
        entry = await self._load_entry(section, name)
        return await self._render(request, section, name, fields_from_file(entry))

    async def submit(
        self,
        section: SectionName,
        read: Callable[[Fields, Entry], dict[str, Any]],
        request: Request,
    ) -> Response:
        """`preview` shows what the change does; any other button shows the form again."""
        fields = await parse_form_lists(request)
        name, command = _last(fields, "entry"), _last(fields, "do")
        self._require_allowed(request, section, name)
        if command != "preview":
            return await self._render(request, section, name, fields)
        changed = read(fields, await self._load_entry(section, name))
        if not name:
            changed = {"name": _last(fields, "name"), **changed}
        change = ConfigEntryChange(section=section, name=name, set=changed)
        try:
            preview = await preview_change(self._deps, change)
        except Uneditable as error:
            return await self._render(request, section, name, fields, describe_error(error).phrase)
        if problems := preview.proposal.problems:
            return await self._render(request, section, name, fields, problems=problems)
        shown = {key: values for key, values in fields.items() if key != "do"}
        source = SourceForm(request.url.path, shown)
        return await render_preview(request, self._templates, change, preview, source=source)

    def _require_allowed(self, request: Request, section: SectionName, name: str) -> None:
        """Raises Forbidden."""
        change = ConfigEntryChange(section=section, name=name)
        require_change_allowed(request, self._context.config, change)

    async def _load_entry(self, section: SectionName, name: str) -> Entry:
        """The entry of the file on the disk; {} for a new one. Raises NotFound, Uneditable."""
        if not name:
            return {}
        entry = (await load_sections(self._deps)).entry(section, name)
        if entry is None:
            noun = Phrase(f"refusal.entry_{section}")
            raise NotFound(Phrase("refusal.no_entry", {"noun": noun, "name": name[:60]}))
        return entry

    async def _render(
        self,
        request: Request,
        section: SectionName,
        name: str,
        fields: Fields,
        problem: Phrase | None = None,
        problems: Sequence[ConfigProblem] = (),
    ) -> HTMLResponse:
        config = self._context.config
        return await self._templates.page(
            request,
            "people_edit.html",
            422 if problem or problems else 200,
            section=section,
            name=name,
            texts=[(key, _last(fields, key)) for key in _TEXTS],
            new_name=_last(fields, "name"),
            contacts=_with_spare(_pairs(fields, "channel", "address"), ("", "")),
            rules={
                urgency: _with_spare(
                    _pairs(fields, f"{urgency}-what", f"{urgency}-length"), ("", "")
                )
                for urgency in channels.URGENCIES
            },
            members=fields.get("members", ()),
            channels=_offered_channels(config),
            wait=WAIT,
            zones=sorted({one.timezone for one in config.users.values()} | {"UTC"}),
            problem=problem,
            problems=problems,
        )


def fields_from_file(entry: Entry) -> dict[str, list[str]]:
    """The fields of the form for an entry of the file."""
    contacts = entry.get("contacts")
    contacts = contacts if isinstance(contacts, dict) else {}
    fields = {key: [str(entry.get(key) or "")] for key in _TEXTS}
    fields["channel"] = list(contacts)
    fields["address"] = [str(address) for address in contacts.values()]
    fields["members"] = [str(one) for one in entry.get("members") or ()]
    for urgency, rules in _rules_of(entry).items():
        fields[f"{urgency}-what"] = [
            WAIT if WAIT in rule else ", ".join(_as_names(rule.get("notify"))) for rule in rules
        ]
        fields[f"{urgency}-length"] = [str(rule.get(WAIT, "")) for rule in rules]
    return fields


def person_changes(fields: Fields, entry: Entry) -> dict[str, Any]:
    """The keys of a person to set so that the entry says what the form does; None removes one."""
    before, changed = fields_from_file(entry), dict[str, Any]()
    for key in _TEXTS:
        if (text := _last(fields, key)) != before[key][0]:
            changed[key] = text or None
    contacts, known = (dict(_pairs(one, "channel", "address")) for one in (fields, before))
    if contacts != known:  # those that stay keep their places in the file
        # numbers and `true` stay as they are written
        written = entry.get("contacts") or {}
        changed["contacts"] = {
            channel: written[channel] if known.get(channel) == address else address
            for channel, address in contacts.items()
        } or None
    rows, old = (
        {
            urgency: _pairs(one, f"{urgency}-what", f"{urgency}-length")
            for urgency in channels.URGENCIES
        }
        for one in (fields, before)
    )
    if rows != old:
        kept = _rules_of(entry)
        rules: dict[str, Any] = {
            urgency: kept[urgency] if rows[urgency] == old[urgency] else _rules(rows[urgency])
            for urgency in channels.URGENCIES
            if rows[urgency]
        }
        changed["notification_rules"] = rules or None
    return changed


def team_changes(fields: Fields, entry: Entry) -> dict[str, Any]:
    """The members, those of the file first, in their order."""
    chosen, known = fields.get("members", ()), fields_from_file(entry)["members"]
    members = [
        *(one for one in known if one in chosen),
        *(one for one in chosen if one not in known),
    ]
    return {"members": members} if members != known or not entry else {}


def _rules(rows: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for what, length in rows:
        names = [one.strip() for one in what.split(",")]
        notify = names[0] if len(names) == 1 else names
        found.append({WAIT: length} if what == WAIT else {"notify": notify})
    return found


def _rules_of(entry: Entry) -> dict[str, list[dict[str, Any]]]:
    rules = entry.get("notification_rules")
    rules = rules if isinstance(rules, dict) else {}
    return {
        urgency: [rule for rule in rules.get(urgency) or () if isinstance(rule, dict)]
        for urgency in channels.URGENCIES
    }


def _pairs(fields: Fields, first: str, second: str) -> list[tuple[str, str]]:
    """The rows of two fields side by side, without those whose first field is empty."""
    rows = zip(fields.get(first, ()), fields.get(second, ()), strict=False)
    return [(one.strip(), other.strip()) for one, other in rows if one.strip()][:MAX_ROWS]


def _with_spare(rows: list[tuple[str, str]], empty: tuple[str, str]) -> list[tuple[str, str]]:
    return [*rows, *[empty] * SPARE_ROWS]


def _offered_channels(config: Config) -> list[str]:
    used = {name for user in config.users.values() for name in channels.own_channels(user)}
    return sorted({*channels.paging_channels(), *used, "phone"})


def _as_names(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []


def _last(fields: Fields, name: str) -> str:
    return (fields.get(name) or [""])[-1].strip()
