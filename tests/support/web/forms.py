"""The forms and links of a page, filled in as somebody would who only presses the buttons."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

Fields = dict[str, list[str]]
# Fields on whose value it depends whether somebody may do it.
DECISIVE = ("team", "into", "user")


@dataclass
class Button:
    """A way to send a form."""

    method: str
    action: str
    name: str = ""
    value: str = ""


@dataclass
class Form:
    """The fields as they stand; what must be filled in is filled in."""

    method: str
    action: str
    fields: Fields = field(default_factory=dict)
    choices: Fields = field(default_factory=dict)  # the values that a field offers
    buttons: list[Button] = field(default_factory=list)

    def sent(self) -> list[tuple[str, str, Fields]]:
        """Method, address and fields of each press of a button, and for each decisive choice."""
        presses = []
        for button in self.buttons or [Button(self.method, self.action)]:
            fields = {**self.fields}
            if button.name:
                fields[button.name] = [button.value]
            presses.append((button.method, button.action, fields))
            presses += [
                (button.method, button.action, {**fields, name: [value]})
                for name in DECISIVE
                for value in self.choices.get(name, ())
            ]
        return presses


class Page(HTMLParser):
    """What can be pressed on a page at an address."""

    def __init__(self, at: str, text: str) -> None:
        super().__init__()
        self._at = at
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._by_id: dict[str, Form] = {}
        self._form: Form | None = None
        self._select: tuple[Form, str, list[str], list[str]] | None = None
        self._area: tuple[Form, str, str] | None = None
        self._lists: dict[str, list[str]] = {}
        self._datalist: list[str] | None = None
        self._wanted: list[tuple[Form, str, str]] = []  # fields that offer a datalist
        self.feed(text)
        for form, name, of in self._wanted:
            if offered := self._lists.get(of):
                form.fields[name] = [offered[0]]
                form.choices[name] = offered

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        name = found.get("name", "")
        form = self._by_id.get(found["form"]) if "form" in found else self._form
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "form":
            self._form = self._named(found.get("id", ""))
            self._form.method = found.get("method", "get")
            self._form.action = found.get("action", "") or self._at
        elif tag == "datalist":
            self._datalist = self._lists[found["id"]] = []
        elif tag == "option":
            self._option(found)
        elif tag == "input" and "form" in found:
            form = self._named(found["form"])
            form.fields.setdefault(name, []).append(found.get("value", "on"))
        elif form is None or (not name and tag != "button"):
            return
        elif tag == "input":
            self._input(form, name, found)
        elif tag == "select":
            self._select = (form, name, [], [])
        elif tag == "textarea":
            self._area = (form, name, "")
        elif tag == "button" and "disabled" not in found and found.get("type") != "button":
            method = found.get("formmethod", form.method)
            action = found.get("formaction", form.action)
            form.buttons.append(Button(method, action, name, found.get("value", "")))

    def _named(self, id_: str) -> Form:
        form = self._by_id.get(id_) if id_ else None
        if form is None:
            form = Form("get", self._at)
            self.forms.append(form)
            if id_:
                self._by_id[id_] = form
        return form

    def _input(self, form: Form, name: str, found: dict[str, str]) -> None:
        kind = found.get("type", "text")
        if kind in ("checkbox", "radio"):
            if "checked" in found:
                form.fields.setdefault(name, []).append(found.get("value", "on"))
            return
        value = found.get("value", "")
        if not value and "required" in found:
            value = "2026-01-07T10:00" if kind == "datetime-local" else "x"
        form.fields.setdefault(name, []).append(value)
        if "list" in found:
            self._wanted.append((form, name, found["list"]))

    def _option(self, found: dict[str, str]) -> None:
        value = found.get("value", "")
        if self._datalist is not None:
            self._datalist.append(value)
        elif self._select is not None:
            self._select[2].append(value)
            if "selected" in found:
                self._select[3].append(value)

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            form, name, text = self._area
            self._area = (form, name, text + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "datalist":
            self._datalist = None
        elif tag == "select" and self._select is not None:
            form, name, values, selected = self._select
            form.fields[name] = selected or values[:1]
            form.choices[name] = [value for value in values if value]
            self._select = None
        elif tag == "textarea" and self._area is not None:
            form, name, text = self._area
            form.fields[name] = [text or "x"]
            self._area = None

    def own_links(self) -> list[str]:
        """Paths with queries on this site, without what comes after a #."""
        found = []
        for link in self.links:
            parts = urlsplit(link)
            if not parts.scheme and not parts.netloc and parts.path:
                found.append(parts.path + (f"?{parts.query}" if parts.query else ""))
        return found
