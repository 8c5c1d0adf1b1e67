"""Random pages whose values stand in every place that html/template tells apart.

They keep to what Go 1.19 does alike, with which Debian's amtool is built: no template literals, no
URL in a meta element, and no values that it let through where newer versions refuse them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from amproxy.gotemplate.quoting import quote

_TEXTS = [
    "left",
    'O\'Reilly: <i>you</i> & "me"?',
    "a:b",
    "https://x.example/?a=b c&d=%41",
    "javascript:alert(1)",
    "expression(1)",
    "a.png 1x, b.png 2x",
    "</script><!-- -->",
    "\u2028 \u00e9+${x}\U0001f642",
    "a\nb\tc",
    "10px",
    "ops/db one",
    "50%",
]
# Not for styles: Go 1.19 lets < and / through there.
_STYLE_TEXTS = ["left", "10px", "#fff", "a: b", "a;b", "'", "expression", "\u00e9", "a{b}"]
# $ is the data in every place, also in a range.
_VALUES = [
    "$.Status",
    "$.CommonLabels.alertname",
    "$.ExternalURL",
    "$.CommonLabels.nothing",
    "$.GroupLabels.SortedPairs.Values",
    "len $.Alerts",
    "(index $.Alerts 0).StartsAt",
    "printf `%.1f` 2.25",
    "eq $.Status `firing`",
]
# As JSON, which 0.35 has alike.
_DATA_VALUES = ["$.Alerts.Firing", "index $.Alerts 0", "(index $.Alerts 0).StartsAt.Month"]
_NAMES = ["title", "alt", "x", "data-x", "class", "lang", "my:title"]
_URLS = ["href", "src", "cite", "my:src", "data-href", "action", "longdesc", "xmlns:a", "dataurl"]
_BEFORE_URLS = ["", "", "/", "/a/", "https://x.example/", "/?a=", "#", "?q=1&amp;r=", " ", "&#63;"]
_DATA_PLACES = [("x = ", "; "), ("f(", ", 1); "), ("return ", "\n"), ("[1, ", "]; ")]
_SCRIPTS = [
    *_DATA_PLACES,
    ("x = ", " / 2; "),
    ("x = '", "'; "),
    ('x = "a ', ' b"; '),
    ("x = /a", "b/g; "),
    ("x = 1 / 2; y = /[a-z]", "/; "),
    ("// a\n", " + 1;\n"),
    ("/* a\n b */ ", " "),
    ("/* ", " */ 1; "),
    ("if (x) { ", " } "),
]
_STYLES = [
    ("a: ", "; "),
    ("border-", ": 1px; "),
    ("b: url(/", "); "),
    ("b: url('", "'); "),
    ("b: url( /a?b=", " ); "),
    ("c: '", "'; "),
    ("/* ", " */ "),
]


@dataclass(frozen=True, slots=True)
class Page:
    """A text, and the definitions of the templates that it uses."""

    body: str
    helpers: str


class Pages:
    """Pages one after the other; the names of their helpers are told apart by number."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._number = 0
        self._helpers: list[str] = []

    def page(self) -> Page:
        """The next page."""
        self._helpers = []
        body = self._content(self._random.randint(0, 2))
        return Page(body, "".join(self._helpers))

    def _content(self, depth: int) -> str:
        return "".join(self._part(depth) for _ in range(self._random.randint(1, 3)))

    def _part(self, depth: int) -> str:
        random = self._random
        kinds = [self._text, self._element, self._element, self._element, self._action]
        if depth:
            kinds += [self._branch, self._branch, self._loop, self._helper]
        return random.choice(kinds)(depth)

    def _text(self, depth: int) -> str:
        texts = ["a < b ", "text &amp; more", "<!-- no -->", "<br/>", "<", "</b>", "a & b ", "\n"]
        return self._random.choice(texts)

    def _action(self, depth: int) -> str:
        return f"{{{{ {self._value()} }}}}"

    def _value(self) -> str:
        random = self._random
        if random.random() < 0.3:
            return random.choice(_VALUES)
        text = quote(random.choice(_TEXTS))
        ends = ["", "", "", "", " | html", " | js", " | urlquery", " | safeHtml"]
        return text + random.choice(ends)

    def _element(self, depth: int) -> str:
        random = self._random
        found = random.random()
        if found < 0.15:
            inner = "".join(self._between(_SCRIPTS, self._value) for _ in range(2))
            inner += self._between(_DATA_PLACES, self._data_value)
            return f"<script>{inner}</script>"
        if found < 0.25:
            inner = "".join(self._between(_STYLES, self._style_value) for _ in range(2))
            return f"<style>p {{ {inner}}}</style>"
        if found < 0.35:
            name = random.choice(["title", "textarea", "TITLE"])
            return f"<{name}>a<b {self._action(0)}</{name}>"
        name = random.choice(["a", "b", "img", "p", "x-y", "DIV"])
        attributes = "".join(self._attribute() for _ in range(random.randint(0, 3)))
        inner = self._content(depth - 1) if depth else self._action(0)
        return f"<{name}{attributes}>{inner}</{name}>"

    def _between(self, places: list[tuple[str, str]], value: Callable[[], str]) -> str:
        before, after = self._random.choice(places)
        return f"{before}{{{{ {value()} }}}}{after}"

    def _style_value(self) -> str:
        return quote(self._random.choice(_STYLE_TEXTS))

    def _data_value(self) -> str:
        return self._random.choice(_DATA_VALUES)

    def _attribute(self) -> str:
        random = self._random
        mark = random.choice("'\"")
        found = random.random()
        if found < 0.3:
            inner = f"{random.choice(_NAMES)}={mark}a {self._choice()}{mark}"
        elif found < 0.6:
            before = random.choice(_BEFORE_URLS)
            inner = f"{random.choice(_URLS)}={mark}{before}{self._choice()}{mark}"
        elif found < 0.7:
            inner = self._between(_SCRIPTS[:5], self._value)
            inner = f"onclick={mark}{inner}{mark}"
        elif found < 0.8:
            inner = f"style={mark}{self._between(_STYLES[:3], self._style_value)}{mark}"
        elif found < 0.85:
            inner = f"srcset={mark}/a 1x, {self._action(0)}{mark}"
        elif found < 0.92:
            # Not an empty value, which Go 1.19 leaves empty.
            value = quote(random.choice(_TEXTS))
            inner = f"{random.choice(['x', 'href'])}={{{{ {value} }}}}"
        else:
            inner = f"{self._action(0)}=1"
        return f" {inner}"

    def _choice(self) -> str:
        """One value, one of two, or several."""
        found = self._random.random()
        if found < 0.7:
            return self._action(0)
        if found < 0.85:
            return f"{{{{ if $.Alerts }}}}{self._action(0)}{{{{ else }}}}b{{{{ end }}}}"
        return "{{ range $.Alerts }}{{ .Labels.instance }},{{ end }}"

    def _branch(self, depth: int) -> str:
        start = self._random.choice(
            ["if $.Alerts.Firing", "if eq $.Status `x`", "with $.GroupLabels"]
        )
        first, other = self._content(depth - 1), self._content(depth - 1)
        return f"{{{{ {start} }}}}{first}{{{{ else }}}}{other}{{{{ end }}}}"

    def _loop(self, depth: int) -> str:
        leave = self._random.choice(["", "{{ break }}", "{{ if $i }}{{ continue }}{{ end }}"])
        shown = "{{ .Labels.instance }} {{ .StartsAt }}"
        return (
            f"{{{{ range $i, $a := $.Alerts }}}}<p title='{{{{ $i }}}}'{self._attribute()}>"
            f"{shown}{leave}{self._content(depth - 1)}</p>{{{{ end }}}}"
        )

    def _helper(self, depth: int) -> str:
        """A template that is used here and in attributes."""
        self._number += 1
        name = f"helper{self._number}"
        self._helpers.append(f'{{{{ define "{name}" }}}}{self._choice()}{{{{ end }}}}')
        call = f'{{{{ template "{name}" $ }}}}'
        return f"{call}<a title='{call}' href=\"/x/{call}\" onclick=\"f('{call}')\">{call}</a>"
