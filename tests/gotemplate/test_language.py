"""The language: each case was answered by Go's own text/template (1.26) with Alertmanager 0.35's functions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amproxy.gotemplate.alertmanager import FUNCTIONS
from amproxy.gotemplate.alertmanager_data import labels_of
from amproxy.gotemplate.errors import GoExecError, GoLimitError, GoParseError, GoTemplateError
from amproxy.gotemplate.execution import Limits
from amproxy.gotemplate.template import TemplateSet
from amproxy.gotemplate.values import INT, STRING, Function, Pointer

_RECORDED = json.loads(Path(__file__).with_name("language.json").read_text("utf-8"))
# Go's JSON has no whole numbers: what comes out of it is a float64.
_DATA = json.loads(json.dumps(_RECORDED["data"]), parse_int=float)


def rendered(text: str, data: Any = None, **options: Any) -> str:
    return TemplateSet(FUNCTIONS, "zero").text(text).render(data, **options)


@pytest.mark.parametrize("case", _RECORDED["cases"], ids=lambda case: case["template"][:60])
def test_a_template_gives_what_go_gives(case: dict[str, str]) -> None:
    if "error" in case:
        with pytest.raises(GoTemplateError) as failure:
            rendered(case["template"], _DATA, now=0)
        assert str(failure.value) == case["error"]
    else:
        assert rendered(case["template"], _DATA, now=0) == case["output"]


def test_a_later_file_replaces_a_template_unless_it_is_empty() -> None:
    texts = TemplateSet()
    texts.add("a.tmpl", '{{ define "x" }}old{{ end }}{{ define "y" }}kept{{ end }}')
    texts.add("b.tmpl", '{{ define "x" }}new{{ end }}{{ define "y" }} \n {{ end }}')
    assert texts.text('{{ template "x" }} {{ template "y" }}').render(None) == "new kept"


def test_a_file_is_a_template_of_its_own_name() -> None:
    texts = TemplateSet()
    texts.add("hello.tmpl", "hello {{ . }}")
    template = texts.template("hello.tmpl")
    assert template is not None
    assert template.render("you") == "hello you"
    assert texts.template("other") is None


def test_a_text_keeps_what_it_defines_to_itself() -> None:
    texts = TemplateSet()
    texts.add(
        "a.tmpl", '{{ define "x" }}set{{ end }}{{ define "call" }}{{ template "x" }}{{ end }}'
    )
    own = texts.text('{{ define "x" }}own{{ end }}{{ template "call" }}')
    assert own.render(None) == "own"
    assert texts.text('{{ template "call" }}').render(None) == "set"


def test_a_refused_file_leaves_the_set_as_it_was() -> None:
    texts = TemplateSet()
    with pytest.raises(GoParseError):
        texts.add("bad.tmpl", '{{ define "x" }}x{{ end }}{{ if }}')
    assert texts.trees == {}


def test_an_error_of_a_file_names_line_and_column() -> None:
    texts = TemplateSet()
    with pytest.raises(GoParseError) as refused:
        texts.add("team.tmpl", 'one\n  {{ nope "x" }}')
    assert str(refused.value) == 'template: team.tmpl:2: function "nope" not defined'
    assert (refused.value.name, refused.value.line, refused.value.column) == ("team.tmpl", 2, 6)
    texts.add("team.tmpl", '{{ define "x" }}\n{{ "é" }} {{ .a.b }}{{ end }}')
    with pytest.raises(GoExecError) as failed:
        texts.text('{{ template "x" . }}').render({"a": 1})
    assert str(failed.value).startswith('template: team.tmpl:2:16: executing "x" at <.a.b>: ')
    assert (failed.value.name, failed.value.line, failed.value.column) == ("team.tmpl", 2, 16)


@pytest.mark.parametrize(
    ("missing_key", "shown"),
    [("default", "<no value>"), ("zero", ""), ("error", None)],
)
def test_a_missing_key_is_what_the_option_says(missing_key: Any, shown: str | None) -> None:
    template = TemplateSet(FUNCTIONS, missing_key).text("{{ .nope }}")
    if shown is None:
        with pytest.raises(GoExecError, match='map has no entry for key "nope"'):
            template.render(labels_of({}))
    else:
        assert template.render(labels_of({})) == shown


def test_a_function_that_is_a_value_can_be_called() -> None:
    twice = Function("twice", lambda text, times: text * times, (STRING, INT))
    assert rendered('{{ call .twice "ab" 2 }}', {"twice": twice}) == "abab"
    with pytest.raises(GoExecError, match=r"wrong number of args for \.twice: got 1 want 2"):
        rendered('{{ call .twice "ab" }}', {"twice": twice})
    with pytest.raises(GoExecError, match="arg 0: value has type int; should be string"):
        rendered("{{ call .twice 1 2 }}", {"twice": twice})
    with pytest.raises(GoExecError, match=r"can't print {{\.twice}} of type func"):
        rendered("{{ .twice }}", {"twice": twice})


def test_a_pointer_is_followed() -> None:
    data = {"p": Pointer({"x": "y"})}
    assert rendered("{{ .p }} {{ .p.x }} {{ len .p }} {{ printf `%v` .p }}", data) == (
        "map[x:y] y 1 &map[x:y]"
    )


def test_python_attributes_stay_out_of_reach() -> None:
    with pytest.raises(GoExecError, match="can't evaluate field __class__"):
        rendered("{{ .__class__ }}", "text")
    with pytest.raises(GoExecError, match="can't evaluate field upper"):
        rendered("{{ .upper }}", "text")


@pytest.mark.parametrize(
    "text",
    [
        '{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}',
        "{{ range 1000000000 }}{{ end }}",
        "{{ range 1000 }}{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}{{ end }}",
        "{{ range 100000 }}0123456789012345678901234567890123456789{{ end }}",
        '{{ $x := "0123456789" }}{{ range 60 }}{{ $x = print $x $x }}{{ end }}',
        "{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ $l }}",
        '{{ $x := "a" }}{{ range 60 }}{{ $x = reReplaceAll "a" "aa" $x }}{{ end }}',
        '{{ $x := "<" }}{{ range 60 }}{{ $x = html $x }}{{ $x = print $x $x }}{{ end }}',
        '{{ range 1000 }}{{ printf "%1000000d" 1 }}{{ end }}',
        "{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ toJson $l }}",
        '{{ $x := "1" }}{{ range 60 }}{{ $x = date $x (toDate "01" "11") }}{{ end }}',
        '{{ $x := "a" }}{{ range 99 }}{{ $x = base64encode $x }}{{ end }}',
        '{{ $x := "$0" }}{{ range 12 }}{{ $x = print $x $x }}{{ end }}{{ reReplaceAll ".*" $x $x }}',
        '{{ $l := list }}{{ range 9000 }}{{ $l = append $l (printf "%40000d" 1) }}{{ end }}',
    ],
)
def test_a_template_that_never_ends_is_stopped(text: str) -> None:
    with pytest.raises(GoLimitError, match="exceeded"):
        rendered(text, None, limits=Limits(steps=100_000, output=50_000))


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(GoParseError, match="max expression depth exceeded"):
        rendered("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}")
    with pytest.raises(GoTemplateError):
        rendered("{{ if 1 }}" * 3000 + "{{ end }}" * 3000)


def test_the_deadline_is_asked_while_it_runs() -> None:
    asked = []

    def out_of_time() -> bool:
        asked.append(1)
        return len(asked) > 3

    for text in (
        "{{ range 100000 }}x{{ end }}",
        "{{ $l := list 1 }}{{ range 20 }}{{ $l = list $l $l }}{{ end }}{{ $l }}",
        '{{ $x := printf "%100000d" 1 }}{{ reReplaceAll " " "" $x }}',
    ):
        asked.clear()
        with pytest.raises(GoLimitError, match="exceeded the limit of time"):
            rendered(text, limits=Limits(out_of_time=out_of_time))
        assert len(asked) == 4


def test_bytes_that_are_no_text_come_out_as_replacement_characters() -> None:
    assert rendered(r'{{ slice "é" 0 1 }}|{{ slice "é" 0 1 }}{{ slice "é" 1 }}') == "\ufffd|é"
