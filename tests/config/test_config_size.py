"""Files of any size and shape load in a time that grows with them, or are refused at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from amproxy.check.lint import all_warnings
from amproxy.config.loader import MAX_ERRORS, load, load_text
from amproxy.config.yaml import parse_layout
from amproxy.errors import ConfigError, ConfigProblem
from tests.support.config.configs import ROUTE, config, problem, problems
from tests.support.config.large import many_receivers, many_schedules

RECEIVER = "receivers: [{name: d}]\n"
TINY = ROUTE + RECEIVER


def cpu_seconds(work: Callable[[], object]) -> float:
    """What the work costs, the least of three times: others on the same core make it dearer."""

    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(3))


def load_and_warn(text: str) -> None:
    all_warnings(load_text(text, env={}))


@pytest.mark.parametrize("text", [many_receivers(1000), many_schedules(500)])
def test_a_file_of_a_large_installation_loads_within_a_second_of_cpu(text: str) -> None:
    load_and_warn(TINY)  # what is imported at the first load is no cost of the file
    assert cpu_seconds(lambda: load_and_warn(text)) < 1.0


def test_a_problem_in_the_last_line_of_a_large_file_has_its_place() -> None:
    text = many_receivers(300) + "      - notify: {schedule: nobody}\n"
    found = problem(text)
    assert (found.line, found.column) == (text.count("\n"), 28)
    assert found.path == "escalation_policies[0].steps[1].notify.schedule"


DEEP = {
    "brackets": "a: " + "[" * 5000,
    "braces": "a: " + "{b: " * 5000,
    "dashes": "a:\n " + "- " * 5000 + "x\n",
    "indentation": "".join(" " * depth + "a:\n" for depth in range(2500)),
    "question marks": "? " * 5000,
    "pairs in lists": "a: " + "[a: " * 5000,
    "anchors": "a: " + "".join(f"&a{depth} [" for depth in range(5000)),
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_deep_nesting_is_refused_at_its_place_and_at_once(text: str) -> None:
    def refused() -> None:
        found = problem(text)
        assert "nested deeper than 200 levels" in found.message
        assert found.line > 0 and found.column > 0
        with pytest.raises(ConfigProblem, match="deeper"):
            parse_layout(text, "routes.yaml")

    assert cpu_seconds(refused) < 0.5


def forwarding(number: int, steps: str, last: str) -> str:
    policies = "".join(
        f"- {{name: p{n}, steps: [{steps.replace('NEXT', f'p{n + 1}')}]}}\n" for n in range(number)
    )
    return (
        TINY
        + "users: [{name: u, contacts: {email: u@example.org}}]\n"
        + "escalation_policies:\n"
        + policies
        + f"- {{name: p{number}, steps: [{last}]}}\n"
    )


TWICE = "{forward: NEXT, matchers: [a=b]}, {forward: NEXT, matchers: [c=d]}"
WIDE = {
    "aliases of aliases": "a: &a0 [x, x, x, x]\n"
    + "".join(f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(300)),
    "merges of merges": "a0: &a0 {x: 1}\n"
    + "".join(
        f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 10)}], k{n}: 1}}\n" for n in range(300)
    ),
    "a long text": "a: " + "x" * 1_000_000 + "\n" + TINY,
    "a long list": "a: [" + "x, " * 20_000 + "]\n" + TINY,
    "a key again and again": TINY + "a: 1\n" * 20_000,
    "a long name again and again": TINY
    + "users:\n- {name: &a "
    + "u" * 5000
    + "}\n"
    + "- {name: *a}\n" * 5000,
    "receivers that are not there": "route:\n receiver: d\n routes:\n"
    + "".join(f" - receiver: q{n}\n" for n in range(3000))
    + "receivers:\n- name: d\n"
    + "".join(f"- name: r{n}\n" for n in range(3000)),
    "time zones that are not there": TINY
    + "users:\n"
    + "".join(f"- {{name: u{n}, timezone: Europe/Berlinn}}\n" for n in range(3000)),
    "equal routes": "route: {receiver: d, routes: ["
    + ",".join(["{matchers: [a=b]}"] * 4000)
    + "]}\n"
    + RECEIVER,
    "routes with a matcher in common": "route: {receiver: d, routes: ["
    + ",".join(f"{{matchers: ['a=b', 'x{n}=y']}}" for n in range(4000))
    + "]}\n"
    + RECEIVER,
    "labels to group by": "route: {receiver: d, group_by: ["
    + ",".join(f"l{n}" for n in range(20_000))
    + "]}\n"
    + RECEIVER,
    "policies that forward": forwarding(2000, "{forward: NEXT}", "{notify: {users: [u]}}"),
    "policies that forward by two ways": forwarding(1000, TWICE, "{notify: {users: [u]}}"),
    "policies in a circle": forwarding(2000, "{forward: NEXT}", "{forward: p0}"),
    "layers": TINY
    + "users: [{name: u}]\nschedules: [{name: s, layers: ["
    + ",".join(f"{{name: l{n}, users: [u]}}" for n in range(4000))
    + "]}]\n",
    "brackets of a template": f"{ROUTE}receivers: [{{name: d, slack_configs: "
    f"[{{api_url: 'http://x/', channel: c, title: '{'{{ a' * 20_000}'}}]}}]\n",
}


@pytest.mark.parametrize("text", WIDE.values(), ids=WIDE)
def test_no_shape_of_a_file_takes_more_time_than_its_size(text: str) -> None:
    def read() -> None:
        try:
            load_and_warn(text)
        except ConfigError as error:
            assert len(str(error)) < 5_000_000

    assert cpu_seconds(read) < 2.5


def test_of_very_many_errors_the_first_are_told_and_the_rest_counted() -> None:
    found = problems(TINY + "users:\n" + "- {name: u, timezone: Nowhere/City}\n" * 3000)
    assert [each.line for each in found[:3]] == [4, 5, 5]
    assert len(found) == MAX_ERRORS + 1 and found[-1].message == "and 4999 more errors"


@pytest.mark.parametrize("template", ["{{ " + "(" * 5000, "{% if a %}" * 3000])
def test_a_template_nested_too_deep_is_a_problem_and_no_crash(template: str) -> None:
    text = f"{ROUTE}receivers: [{{name: d, oncall_configs: [{{escalation_policy: p, title: '{template}'}}]}}]\n"
    assert any("nested too deep" in each.message for each in problems(text))


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (b"a: b\nc: \xff\xfe\n", (2, 4), "not UTF-8"),
        ("é: b\nc🎉: \0\n".encode(), (2, 5), r"the character '\x00' is not allowed"),
        (b"a:\n\tb: c\n", (2, 1), "not YAML"),
        (b"a: [b\n", (2, 1), "at the end of the file"),
        (b"a: [b", (1, 6), "at the end of the file"),
        (b"? " + b"k" * 2000 + b"\n: v\n", (1, 3), "longer than 1024 characters"),
    ],
)
def test_bytes_that_are_no_yaml_are_named_with_their_place(
    tmp_path: Path, content: bytes, place: tuple[int, int], words: str
) -> None:
    path = tmp_path / "routes.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    found = caught.value.problems[0]
    assert (found.line, found.column) == place and words in found.message


def test_a_file_that_is_far_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)

    def refused() -> None:
        with pytest.raises(ConfigError, match="larger than 16,384 KiB"):
            load(path)

    assert cpu_seconds(refused) < 0.5


def test_tabs_are_read_as_alertmanager_reads_them() -> None:
    found = config("route:\n  receiver: a\t\t# tab\nreceivers:\n- name: 'a' \t# c\n- name: b\t\n")
    assert list(found.receivers) == ["a", "b"]


def test_an_address_that_begins_with_colons_needs_no_quotes_in_brackets() -> None:
    text = TINY + "sign_in: {proxy_header: {header: X-User, from: [::1, fe80::/64, 10.0.0.0/8]}}\n"
    sign_in = config(text).sign_in
    assert sign_in is not None and sign_in.proxy_header is not None
    assert [*map(str, sign_in.proxy_header.networks)] == ["::1/128", "fe80::/64", "10.0.0.0/8"]
