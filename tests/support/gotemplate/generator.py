"""Random templates and the data for them, for a comparison with the real template engine.

`old` keeps to what Alertmanager 0.25, which is Debian's, knows.
"""

from __future__ import annotations

from random import Random
from typing import Any

_WORDS = [
    "",
    "a",
    "critical",
    "HighLoad",
    "db-1:9100",
    "x y",
    "диск",
    "a.b",
    "100%",
    "<b>&'\"",
    "é",
]
_LABELS = ["alertname", "severity", "instance", "job", "path", "runbook_url"]
_LAYOUTS = [
    "2006-01-02 15:04:05",
    "Mon, 02 Jan 2006 15:04:05 MST",
    "Jan _2 3:04PM",
    "02.01.06 15h04",
    "2006-01-02T15:04:05.000Z07:00",
    "Monday, January 2 2006, 3:4:5.999 pm -0700",
    "002 __2 06 1/2",
]
_VERBS = "vvvsdqxXtTfgeobcU"
_FLAGS = [
    "",
    "",
    "",
    "+",
    "-",
    "#",
    "0",
    " ",
    "5",
    "-8",
    "08",
    ".2",
    "6.1",
    "+.3",
    "#x",
    "[1]",
    "*",
]
_PATTERNS = ["a", "[0-9]+", "^(.*):(.*)$", "(?i)HIGH", "", "x*", r"\\s", "(a|b)", "."] * 8 + ["["]
_REPLACEMENTS = ["", "$1", "${1}x", "$0$0", "-", "$$", "$2:$1"]
_ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"] * 9 + ["No/Where"]
_TIME_METHODS = {
    "int": [
        *("Unix", "UnixMilli", "UnixNano", "Year", "Day", "Hour", "Minute", "Second"),
        *("Nanosecond", "YearDay", "Month", "Weekday"),
    ],
    "bool": ["IsZero"],
    "time": ["UTC"],
    "str": ["String"],
}
_DURATIONS = ["1e9", "3600e9", "1500000000", "-42e9", "90061001002003", "7"]


class Generator:
    """Templates of one seed. Each expression has a kind, by which others are put around it."""

    def __init__(self, random: Random, old: bool) -> None:
        self.random = random
        self.old = old
        self.variables: list[tuple[str, str]] = []
        self.in_range = 0
        self.dots = ["data"]

    def template(self) -> str:
        """A template of a few statements."""
        self.variables, self.in_range, self.dots = [], 0, ["data"]
        return self._block(3)

    # Statements

    def _block(self, depth: int) -> str:
        known = len(self.variables)
        text = "".join(self._statement(depth) for _ in range(self.random.randint(1, 3)))
        del self.variables[known:]
        return text

    def _statement(self, depth: int) -> str:
        roll = self.random.random()
        if depth <= 0 or roll < 0.45:
            return self._action(depth)
        if roll < 0.55:
            return self.random.choice(["text ", " \n ", "x\n", "{{/* c */}}", " {{- /* d */ -}} "])
        if roll < 0.7:
            return self._if(depth)
        if roll < 0.85:
            return self._range(depth)
        if roll < 0.93:
            return self._with(depth)
        return self._variable(depth)

    def _marks(self, body: str) -> str:
        left = self.random.choice(["{{", "{{ ", "{{- "])
        right = self.random.choice(["}}", " }}", " -}}"])
        return f"{left}{body}{right}"

    def _action(self, depth: int) -> str:
        if self.in_range and self.random.random() < 0.06:
            jump = self.random.choice(["{{break}}", "{{continue}}"])
            return self._marks("if " + self.expression("bool", 1)) + jump + "{{end}}"
        kind = self.random.choice(
            ["str", "str", "str", "int", "bool", "float", "strings", "printf"]
        )
        if kind == "printf":
            return self._marks(self._printf(2))
        body = self.expression(kind, depth)
        if kind == "str" and self.random.random() < 0.3:
            body += self.random.choice(
                [" | toUpper", ' | printf "%q"', " | html", " | len", " | js"]
            )
        return self._marks(body)

    def _if(self, depth: int) -> str:
        text = self._marks("if " + self.expression(self._any_kind(), 2)) + self._block(depth - 1)
        if self.random.random() < 0.3:
            text += self._marks("else if " + self.expression("bool", 1)) + self._block(depth - 1)
        if self.random.random() < 0.5:
            text += self._marks("else") + self._block(depth - 1)
        return text + self._marks("end")

    def _with(self, depth: int) -> str:
        kind = self.random.choice(["str", "labels", "alerts", "int", "time"])
        text = self._marks("with " + self.expression(kind, 1, exact=True))
        self.dots.append(kind)
        text += self._block(depth - 1)
        self.dots.pop()
        if not self.old and self.random.random() < 0.3:
            text += self._marks("else with " + self.expression("str", 1))
            self.dots.append("str")
            text += self._block(depth - 1)
            self.dots.pop()
        if self.random.random() < 0.4:
            text += self._marks("else") + self._block(depth - 1)
        return text + self._marks("end")

    def _range(self, depth: int) -> str:
        kinds = {"alerts": "alert", "labels": "str", "strings": "str", "pairs": "pair"}
        kind = self.random.choice([*kinds, "alerts", *([] if self.old else ["int"])])
        # Nothing else gets in here: a duration has too many turns.
        over = (
            self.expression(kind, 0, exact=True)
            if kind != "int"
            else str(self.random.randint(-1, 4))
        )
        value = kinds.get(kind, "int")
        known = len(self.variables)
        head = ""
        roll = self.random.random()
        if roll < 0.3 and kind != "int":
            names = self.random.sample([f"$v{number}" for number in range(10)], 2)
            head = f"{names[0]}, {names[1]} := "
            key = "str" if kind == "labels" else "int"
            self.variables += [(names[0], key), (names[1], value)]
        elif roll < 0.5:
            name = self._fresh()
            head = f"{name} := "
            self.variables.append((name, value))
        text = self._marks(f"range {head}{over}")
        self.in_range += 1
        self.dots.append(value)
        text += self._block(depth - 1)
        self.dots.pop()
        self.in_range -= 1
        del self.variables[known:]
        if self.random.random() < 0.3:
            text += self._marks("else") + self._block(depth - 1)
        return text + self._marks("end")

    def _variable(self, depth: int) -> str:
        kind = self._any_kind()
        same = [name for name, known in dict(self.variables).items() if known == kind]
        if same and self.random.random() < 0.5:
            return self._marks(
                f"{self.random.choice(same)} = {self.expression(kind, depth, exact=True)}"
            )
        body = self.expression(kind, depth, exact=True)
        name = self._fresh()
        self.variables.append((name, kind))
        return self._marks(f"{name} := {body}")

    def _fresh(self) -> str:
        return f"$v{self.random.randint(0, 9)}"

    def _any_kind(self) -> str:
        return self.random.choice(
            [
                "str",
                "str",
                "int",
                "bool",
                "float",
                "strings",
                "labels",
                "alerts",
                "time",
                "duration",
            ]
        )

    # Expressions

    def expression(self, kind: str, depth: int, exact: bool = False) -> str:
        """An expression of a kind, once in a while of another."""
        if not exact and self.random.random() < 0.004:
            kind = self._any_plain()
        known = [name for name, held in dict(self.variables).items() if held == kind]
        if known and self.random.random() < 0.3:
            return self.random.choice(known)
        if self.dots[-1] == kind and self.random.random() < 0.3:
            return "."
        make = getattr(self, f"_{kind}")
        return str(make(depth))

    def operand(self, kind: str, depth: int) -> str:
        """An expression that may stand as an argument."""
        text = self.expression(kind, depth - 1)
        if self.old and text.startswith(("and ", "or ")):
            # Their value was of no use as an argument then.
            text = "true" if kind == "bool" else self._quoted("x")
        is_simple = not (" " in text or "|" in text) or text[0] in '"`'
        return text if is_simple and text.count('"') in (0, 2) else f"({text})"

    def _root(self, field: str) -> str:
        return (
            f".{field}" if self.dots[-1] == "data" and self.random.random() < 0.7 else f"$.{field}"
        )

    def _str(self, depth: int) -> str:
        choose = self.random.choice
        simple = [
            lambda: self._quoted(choose(_WORDS)),
            lambda: self._root(choose(["Receiver", "Status", "ExternalURL"])),
            lambda: f"{self.operand('labels', 1)}.{choose(_LABELS)}",
            lambda: f"{self._alert(0)}.{choose(['Status', 'GeneratorURL', 'Fingerprint'])}",
            lambda: f"index {self.operand('labels', 1)} {self._quoted(choose(_LABELS))}",
        ]
        deep = [
            lambda: self._printf(depth),
            lambda: (
                f"{choose(['toUpper', 'toLower', 'title', 'safeHtml'])} {self.operand('str', depth)}"
            ),
            lambda: f"{choose(['html', 'js', 'urlquery'])} {self.operand('str', depth)}",
            lambda: (
                f"print {self.operand(self._any_plain(), depth)} {self.operand(self._any_plain(), depth)}"
            ),
            lambda: f"{self.operand('strings', depth)} | join {self._quoted(choose(_WORDS))}",
            lambda: (
                f"reReplaceAll {self._quoted(choose(_PATTERNS))} {self._quoted(choose(_REPLACEMENTS))} {self.operand('str', depth)}"
            ),
            lambda: f"{self.operand('time', depth)}.Format {self._quoted(choose(_LAYOUTS))}",
            lambda: f"or {self.operand('str', depth)} {self.operand('str', depth)}",
            lambda: f"and {self.operand('str', depth)} {self.operand('str', depth)}",
            lambda: f"{self.operand('duration', depth)}.String",
            lambda: f"slice {self.operand('str', depth)} {choose([0, 0, 0, 0, 1, 2])}",
            lambda: (
                f"index (stringSlice {self._quoted(choose(_WORDS))} {self.operand('str', depth)}) 1"
            ),
        ]
        if not self.old:
            deep += [
                lambda: f"{self.operand('time', depth)} | date {self._quoted(choose(_LAYOUTS))}",
                lambda: (
                    f"humanizeDuration {self.operand(choose(['int', 'float', 'duration', 'str']), depth)}"
                ),
                lambda: f"toJson {self.operand(self._any_kind(), depth)}",
                lambda: f"base64encode {self.operand('str', depth)}",
                lambda: f"base64decode (base64encode {self.operand('str', depth)})",
                lambda: f"safeUrl {self.operand('str', depth)}",
                lambda: f"trimSpace {self.operand('str', depth)}",
                lambda: (
                    f"print {self.operand(self._any_kind(), depth)} {self.operand(self._any_kind(), depth)}"
                ),
                lambda: f"urlUnescape (urlquery {self.operand('str', depth)})",
                lambda: (
                    f"index (dict {self.operand('str', depth)} {self.operand('str', depth)}) {self.operand('str', depth)}"
                ),
                lambda: (
                    f"print (list {self.operand(self._any_kind(), depth)} {self.operand(self._any_kind(), depth)} nil)"
                ),
            ]
        return choose(simple if depth <= 0 or self.random.random() < 0.4 else deep)()

    def _any_plain(self) -> str:
        return self.random.choice(["str", "int", "float", "bool", "strings", "duration"])

    def _printf(self, depth: int) -> str:
        parts, values = [], []
        for _ in range(self.random.randint(1, 3)):
            verb = "%" + self.random.choice(_FLAGS) + self.random.choice(_VERBS)
            if self.random.random() < 0.02:
                verb = self.random.choice(["%%", "%!", "%z", "%", "%[3]d", "%.*f", "%[x]d"])
            parts.append(self.random.choice(["", " ", "a=", "|"]) + verb)
        # Go shows the insides of a time for other verbs, addresses of memory among them.
        is_plain = self.old or any(part[-1] not in "vsq" for part in parts)
        # The type of names and values has a name of its own since 0.35.
        shows_no_type = all(
            part[-1] in "vsq" and "#" not in part and "[" not in part for part in parts
        )
        for _ in parts:
            kind = self._any_plain() if is_plain else self._any_kind()
            if self.old and kind == "strings" and not shows_no_type:
                kind = "str"
            values.append(self.operand(kind, depth))
        if self.random.random() < 0.04:
            values.pop()
        return " ".join([f"printf {self._quoted(''.join(parts))}", *values])

    def _quoted(self, text: str) -> str:
        if self.random.random() < 0.2 and "`" not in text and "\\" not in text:
            return f"`{text}`"
        return '"' + text.replace('"', '\\"') + '"'

    def _int(self, depth: int) -> str:
        choose = self.random.choice
        simple = [
            lambda: choose(["0", "1", "2", "42", "-7", "0x1F", "'a'", "1_000", "100000000"]),
            lambda: f"len {self.operand(choose(['str', 'labels', 'alerts', 'strings']), depth)}",
            lambda: f"{self.operand('time', 1)}.{choose(_TIME_METHODS['int'])}",
        ]
        return choose(simple)()

    def _float(self, depth: int) -> str:
        if self.random.random() < 0.3:
            method = self.random.choice(["Seconds", "Minutes", "Hours"])
            return f"{self.operand('duration', depth)}.{method}"
        return self.random.choice(
            ["1.5", "0.0", "-2.25", "1e6", "1e21", "3.14159265", "1e-7", "100.0"]
        )

    def _bool(self, depth: int) -> str:
        choose = self.random.choice
        if depth <= 0:
            return choose(["true", "false", f"{self.operand('time', 1)}.IsZero"])
        kind = choose(["str", "int", "float", "bool"])
        compare = choose(["eq", "ne", *([] if kind == "bool" else ["lt", "le", "gt", "ge"])])
        return choose(
            [
                lambda: f"{compare} {self.operand(kind, depth)} {self.operand(kind, depth)}",
                lambda: (
                    f"eq {self.operand('str', depth)} {self.operand('str', depth)} {self.operand('str', depth)}"
                ),
                lambda: f"not {self.operand(self._any_kind(), depth)}",
                lambda: f"and {self.operand('bool', depth)} {self.operand('bool', depth)}",
                lambda: f"or {self.operand('bool', depth)} {self.operand('bool', depth)}",
                lambda: f"match {self._quoted(choose(_PATTERNS))} {self.operand('str', depth)}",
                lambda: (
                    f"{self.operand('time', depth)}.{choose(['Before', 'After', 'Equal'])} {self.operand('time', depth)}"
                ),
            ]
        )()

    def _labels(self, depth: int) -> str:
        choose = self.random.choice
        text = choose(
            [
                self._root(choose(["GroupLabels", "CommonLabels", "CommonAnnotations"])),
                f"{self._alert(0)}.{choose(['Labels', 'Annotations'])}",
            ]
        )
        if depth > 0 and self.random.random() < 0.15:
            return f"{text}.Remove {self.operand('strings', depth)}"
        return text

    def _pairs(self, depth: int) -> str:
        return f"{self.operand('labels', depth)}.SortedPairs"

    def _pair(self, depth: int) -> str:
        return "." if self.dots[-1] == "pair" else f"index {self.operand('pairs', depth)} 0"

    def _strings(self, depth: int) -> str:
        choose = self.random.choice
        words = " ".join(self._quoted(choose(_WORDS)) for _ in range(self.random.randint(0, 3)))
        return choose(
            [
                f"stringSlice {words}".strip(),
                f"{self.operand('pairs', depth)}.{choose(['Names', 'Values'])}",
                f"{self.operand('labels', depth)}.{choose(['Names', 'Values'])}",
            ]
        )

    def _alerts(self, depth: int) -> str:
        text = self._root("Alerts")
        return (
            text
            if self.random.random() < 0.6
            else f"{text}.{self.random.choice(['Firing', 'Resolved'])}"
        )

    def _alert(self, depth: int) -> str:
        if self.dots[-1] == "alert" and self.random.random() < 0.7:
            return "$.Alerts.x" if self.random.random() < 0.005 else "(index $.Alerts 0)"
        return "(index $.Alerts 0)"

    def _time(self, depth: int) -> str:
        choose = self.random.choice
        text = f"{self._alert(0)}.{choose(['StartsAt', 'EndsAt'])}"
        if depth <= 0 or self.random.random() < 0.5:
            return text
        more = [
            lambda: f"{text}.UTC",
            lambda: f"{text}.Add {choose(_DURATIONS)}",
            lambda: (
                f"{text}.AddDate {self.random.randint(-1, 1)} {self.random.randint(-14, 14)} {self.random.randint(-40, 40)}"
            ),
            lambda: f"{text}.{choose(['Round', 'Truncate'])} {choose(_DURATIONS)}",
        ]
        if not self.old:
            more += [
                lambda: f"{text} | tz {self._quoted(choose(_ZONES))}",
                lambda: (
                    f"toDate {self._quoted(choose(_LAYOUTS))} ({text}.Format {self._quoted(choose(_LAYOUTS))})"
                ),
            ]
        return choose(more)()

    def _duration(self, depth: int) -> str:
        text = f"{self.operand('time', 1)}.Sub {self.operand('time', 1)}"
        if depth > 0 and self.random.random() < 0.3:
            return f"({text}).{self.random.choice(['Round', 'Truncate'])} {self.random.choice(_DURATIONS)}"
        return text


def data(random: Random) -> dict[str, Any]:
    """The body of a webhook as templates get it."""

    def labels() -> dict[str, str]:
        names = random.sample(_LABELS, random.randint(0, len(_LABELS)))
        return {name: random.choice(_WORDS) for name in names}

    def moment() -> str:
        day = f"20{random.randint(10, 37)}-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}"
        clock = (
            f"{random.randint(0, 23):02d}:{random.randint(0, 59):02d}:{random.randint(0, 59):02d}"
        )
        fraction = random.choice(["", ".5", ".678", ".000001", ".123456789"])
        return f"{day}T{clock}{fraction}{random.choice(['Z', 'Z', 'Z', '+02:00', '-03:30'])}"

    alerts = []
    for _ in range(random.choice([0, *[1, 2, 3] * 8])):
        firing = random.random() < 0.5
        alerts.append(
            {
                "status": "firing" if firing else "resolved",
                "labels": labels(),
                "annotations": labels(),
                "startsAt": moment(),
                "endsAt": "0001-01-01T00:00:00Z" if firing else moment(),
                "generatorURL": random.choice(["", "http://prom:9090/graph?g0.expr=up+%3D%3D+0"]),
                "fingerprint": f"{random.getrandbits(64):016x}",
            }
        )
    return {
        "receiver": random.choice(["team/x", "mail", "диск"]),
        "status": random.choice(["firing", "resolved"]),
        "alerts": alerts,
        "groupLabels": labels(),
        "commonLabels": labels(),
        "commonAnnotations": labels(),
        "externalURL": "http://am.example.org:9093",
    }
