"""The reference pages keep to the program: examples load, every key and every metric is named, answers have the shape shown."""

from __future__ import annotations

import json
import re
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from amproxy.accept.shapes import SHAPES
from amproxy.calendars.fetch import schedule_warnings
from amproxy.check.report import check_config
from amproxy.config.loader import load, load_text
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.grouping.maintenance import expired_window_warnings
from tests.support import cases
from tests.support.servers import Server, Servers
from tests.support.waiting import until

DOCS = Path(__file__).parent.parent / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text("utf-8")
API = (DOCS / "api.md").read_text("utf-8")
SENDERS = (DOCS / "senders.md").read_text("utf-8")
EXAMPLE = cases.EXAMPLE.read_text("utf-8")

CALENDAR = re.findall(r"^```ics\n(.*?)^```$", CONFIGURATION, re.DOTALL | re.MULTILINE)[0]
NOW = datetime(2026, 2, 2, 12, tzinfo=UTC)
OWN_SECTIONS = {
    "users",
    "teams",
    "schedules",
    "escalation_policies",
    "sources",
    "heartbeats",
    "web",
    "sign_in",
    "store",
}
OWN_SECTIONS |= {"maintenance_windows", "dead_mans_switch", "metrics"}
ROUTES = """
route: {receiver: r, group_by: [alertname]}
receivers: [{name: r, oncall_configs: [{escalation_policy: p}]}]
users: [{name: alice, contacts: {console: here}}]
schedules: [{name: primary, layers: [{users: [alice]}]}, {name: weekends, ical: {file: CALENDAR}}]
escalation_policies: [{name: p, steps: [{notify: {schedule: primary}}]}]
maintenance_windows: [{name: upgrade, matchers: [team="db"], start: 2026-01-01, end: 2099-01-01}]
heartbeats: [{name: watchdog, every: 1h}]
dead_mans_switch: {url: http://127.0.0.1:9/}
metrics: {url: http://127.0.0.1:9/}
"""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def section(page: str, heading: str) -> str:
    """What stands under a heading of the second or third level, up to the next of its level or above."""
    found = re.search(rf"^(##+) {re.escape(heading)}\n", page, re.MULTILINE)
    assert found, f"there is no heading {heading!r}"
    return re.split(
        rf"^#{{2,{len(found[1])}}} ", page[found.end() :], maxsplit=1, flags=re.MULTILINE
    )[0]


def code(text: str) -> set[str]:
    """The words that stand alone between backquotes."""
    return set(re.findall(r"`([A-Za-z_]+)`", text))


# ------------------------------------------------------------------------------------------------ configuration.md

WHOLE = [block for block in blocks(CONFIGURATION, "yaml") if block.startswith("# routes.yaml")]
CLEAN, DOUBTFUL = [block for block in WHOLE if "every kind of warning" not in block], WHOLE[-1]


def checked(text: str, folder: Path) -> dict[str, Any]:
    """What `amproxy check` says of an example whose secret files are there."""
    for name in re.findall(r"_file: (secrets/\S+)", text):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a secret")
    for name in re.findall(r"file: (calendars/\S+)", text):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(CALENDAR)
    (folder / "routes.yaml").write_text(text, "utf-8")
    return check_config(
        lambda: load(folder / "routes.yaml", {}),
        also=lambda config: (
            *schedule_warnings(config, NOW),
            *expired_window_warnings(config, NOW),
        ),
    )


@pytest.mark.parametrize("text", CLEAN)
def test_a_whole_file_of_the_page_loads_without_a_warning(text: str, tmp_path: Path) -> None:
    assert checked(text, tmp_path) == {"ok": True, "errors": [], "warnings": []}


def test_the_page_names_every_kind_of_warning_and_shows_it(tmp_path: Path) -> None:
    found = checked(DOUBTFUL, tmp_path)
    assert found["ok"], found["errors"]
    named = set(re.findall(r"^\| `([a-z_]+)` \|", section(CONFIGURATION, "Warnings"), re.MULTILINE))
    assert {warning["kind"] for warning in found["warnings"]} == named


def test_a_warning_stands_in_the_line_whose_comment_names_it(tmp_path: Path) -> None:
    lines = DOUBTFUL.splitlines()
    for warning in checked(DOUBTFUL, tmp_path)["warnings"]:
        assert warning["kind"] in lines[warning["line"] - 1].partition("#")[2]


def test_every_key_of_the_grammar_is_named_where_its_section_is_described(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables: dict[str, set[str]] = defaultdict(
        set
    )  # section → its keys and those below; "" → the sections
    read = Cursor.section

    def recorded(at: Cursor, table: Mapping[str, Reader]) -> Section:
        top = at.path.partition(".")[0].partition("[")[0]
        if not top or top in OWN_SECTIONS or ".oncall_configs" in at.path:
            tables[top].update(table)
        return read(at, table)

    monkeypatch.setattr(Cursor, "section", recorded)
    for text in (EXAMPLE, *WHOLE):
        load_text(text, env={"SECRETS_DIR": "secrets"})
    assert tables.pop("") <= code(CONFIGURATION) | set(
        re.findall(r"^## (\w+)$", CONFIGURATION, re.MULTILINE)
    )
    assert set(tables) == {*OWN_SECTIONS, "receivers"}
    missing = {top: keys - code(section(CONFIGURATION, top)) for top, keys in tables.items()}
    assert {top: keys for top, keys in missing.items() if keys} == {}


@pytest.mark.parametrize(
    "page", [CONFIGURATION, API, SENDERS], ids=["configuration", "api", "senders"]
)
def test_links_lead_somewhere(page: str) -> None:
    anchors = {
        "": anchors_of(page),
        "configuration.md": anchors_of(CONFIGURATION),
        "api.md": anchors_of(API),
        "deploy.md": anchors_of((DOCS / "deploy.md").read_text("utf-8")),
        "senders.md": anchors_of(SENDERS),
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", page):
        file, _, anchor = target.partition("#")
        if target.startswith("https://"):
            continue
        assert not file or (DOCS / file).exists(), target
        assert not anchor or anchor in anchors[file], target


def test_the_page_of_senders_names_every_one_that_is_recognised() -> None:
    rows = set(re.findall(r"^\| ([^|]+) \|", SENDERS, re.MULTILINE))
    named = {name.strip() for row in rows for name in row.split(",")}
    assert {shape.sender for shape in SHAPES} <= named


def test_the_mapping_of_the_page_of_senders_loads(tmp_path: Path) -> None:
    [mapping] = [block for block in blocks(SENDERS, "yaml") if block.startswith("sources:")]
    text = "route: {receiver: r}\nreceivers: [{name: r}]\n" + mapping
    assert checked(text, tmp_path)["errors"] == []


def anchors_of(page: str) -> set[str]:
    headings = re.findall(r"^##+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


# -------------------------------------------------------------------------------------------------------- api.md


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running service in which somebody was paged, and a heartbeat came in."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "weekends.ics").write_text(
        CALENDAR.replace("20260214", f"{datetime.now(UTC):%Y%m%d}")
    )
    with Servers(folder) as servers:
        amproxy = servers.amproxy(ROUTES.replace("CALENDAR", str(folder / "weekends.ics")))
        ask(
            amproxy,
            "/webhook/any",
            b'{"alerts": [{"status": "firing", "labels": {"alertname": "HighLoad"}}]}',
        )
        ask(amproxy, "/heartbeat/watchdog")
        # recorded with the page
        until(
            lambda: re.search(r"^amproxy_contact_up\{", ask(amproxy, "/metrics"), re.MULTILINE),
            why="nobody was paged",
        )
        yield amproxy


def ask(server: Server, path: str, body: bytes | None = None) -> str:
    with urllib.request.urlopen(server.url + path, body, timeout=60) as answer:
        return str(answer.read().decode())


def test_every_metric_that_is_shown_is_described_and_no_other(service: Server) -> None:
    shown = set(re.findall(r"^# TYPE (\w+) ", ask(service, "/metrics"), re.MULTILINE))
    assert {name for name in shown if not name.endswith("_created")} == set(described())


def test_metrics_have_the_labels_that_are_described(service: Server) -> None:
    labels = described()
    for family in text_string_to_metric_families(ask(service, "/metrics")):
        for sample in family.samples:
            name = re.sub(r"_(bucket|sum|count)$", "", sample.name)
            if not name.endswith("_created"):
                assert set(sample.labels) - {"le"} == labels[name], name


def described() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z_, ]*)\|", section(API, "Metrics"), re.MULTILINE)
    return {name: set(re.findall(r"\w+", labels)) for name, labels in rows}


def test_answers_have_the_fields_that_the_examples_show(service: Server) -> None:
    shown, real = example("GET /api/v1/incidents"), json.loads(ask(service, "/api/v1/incidents"))
    assert shape(real) == shape(shown)
    incident = real["incidents"][0]
    whole = json.loads(ask(service, f"/api/v1/incidents/{incident['id']}"))
    only_here = {
        key: value for key, value in whole.items() if key not in incident or key == "alerts"
    }
    assert shape(only_here) == shape(example("GET /api/v1/incidents/{id}"))
    assert shape(json.loads(ask(service, "/api/v1/oncall"))) == shape(example("Who is on call"))
    assert shape(json.loads(ask(service, "/api/v1/schedules/primary/shifts"))) == shape(
        example("Schedules")
    )
    assert shape(json.loads(ask(service, "/api/v1/users/alice"))) == shape(example("Users"))
    assert shape(json.loads(ask(service, "/api/v1/maintenance"))) == shape(example("Maintenance"))
    assert shape(json.loads(ask(service, "/api/v1/deliveries"))) == shape(example("Deliveries"))
    channels, shown = (
        json.loads(ask(service, "/api/v1/channels"))["channels"],
        example("Channels")["channels"],
    )
    assert set(channels[0]) == set(shown[0]) and set(channels[0]["people"][0]) == set(
        shown[0]["people"][0]
    )
    assert shape(json.loads(ask(service, "/api/v1/heartbeats"))) == shape(
        example("GET /api/v1/heartbeats")
    )
    assert shape(json.loads(ask(service, "/api/v1/schedules/weekends/ical"))) == shape(
        example("Calendars")
    )


def example(heading: str) -> Any:
    return json.loads(blocks(section(API, heading), "json")[0])


def shape(value: Any) -> Any:
    """The keys, all the way down; maps of labels and what may be null are values."""
    if isinstance(value, dict):
        free = (
            "labels",
            "annotations",
            "group_labels",
            "common_labels",
            "common_annotations",
            "extra",
            "next_step",
            *(key for key in value if key.endswith("arguments")),
        )
        return {key: None if key in free else shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else None
    return None


@pytest.mark.parametrize("text", blocks(API, "json"))
def test_an_example_of_an_answer_is_json(text: str) -> None:
    json.loads(text)


# ---------------------------------------------------------------------------------------- glossary.md


def test_what_carries_a_term_of_the_glossary_is_there() -> None:
    package = DOCS.parent / "amproxy"
    defined = {
        name
        for path in package.rglob("*.py")
        for name in re.findall(r"^class (\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    page = (DOCS / "glossary.md").read_text("utf-8")
    rows = [line.split("|")[3] for line in page.splitlines() if line.count("|") == 4]
    named = {word for row in rows for word in re.findall(r"`([^`]+)`", row)}
    files = {word for word in named if "/" in word}
    assert all((package / word).is_file() for word in files)
    assert len(named) > 50 and named - files - defined == {"fingerprint"}, "a function of labels/"
