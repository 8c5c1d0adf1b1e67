"""Values in pages: the recorded cases were answered by Go's own html/template (1.26)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amproxy.gotemplate.alertmanager import FUNCTIONS
from amproxy.gotemplate.alertmanager_data import data_from_json
from amproxy.gotemplate.errors import GoLimitError, GoParseError, GoTemplateError
from amproxy.gotemplate.execution import Limits
from amproxy.gotemplate.html.errors import GoEscapeError
from amproxy.gotemplate.html.template import html_text
from amproxy.gotemplate.template import Template, TemplateSet

_RECORDED = json.loads(Path(__file__).with_name("html.json").read_text("utf-8"))


def page(text: str, texts: TemplateSet | None = None) -> Template:
    return html_text(texts or TemplateSet(FUNCTIONS), text, "t")


@pytest.mark.parametrize("place", _RECORDED["places"])
def test_a_value_is_escaped_for_its_place(place: str) -> None:
    template = page(place)
    found = [template.render(value) for value in _RECORDED["values"]]
    assert found == _RECORDED["places"][place]


@pytest.mark.parametrize("place", _RECORDED["characters"]["places"])
def test_every_character_is_escaped_for_its_place(place: str) -> None:
    template, characters = page(place), _RECORDED["characters"]
    found = [template.render(f"q{char}q") for char in characters["all"]]
    assert found == characters["places"][place]


@pytest.mark.parametrize("case", _RECORDED["texts"], ids=lambda case: case["template"][:60])
def test_a_page_gives_what_go_gives(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(GoTemplateError) as failure:
            page(case["template"]).render(case["data"])
        assert str(failure.value) == case["error"]
    else:
        assert page(case["template"]).render(case["data"]) == case["output"]


def test_the_name_of_an_attribute_tells_how_its_value_is_escaped() -> None:
    found = {
        name: [
            page(f"<a {name}='{{{{.}}}}'>").render("javascript:x"),
            page(f"<a {name}='{{{{.}}}}'>").render('q"( /'),
            page("<a {{.}}=x>").render(name),
        ]
        for name in _RECORDED["attributes"]
    }
    assert found == _RECORDED["attributes"]


def test_the_type_of_a_script_tells_whether_it_is_one() -> None:
    found = {
        kind: page(f"<script type='{kind}'>{{{{.}}}}</script>").render("a'")
        for kind in _RECORDED["script_types"]
    }
    assert found == _RECORDED["script_types"]


def test_a_template_that_opens_a_place_opens_it_each_time() -> None:
    """Go takes the second call for text, and lets a program through."""
    text = '{{ define "open" }}<a href="{{ end }}' + '{{ template "open" }}{{ . }}">' * 2
    assert page(text).render("javascript:x") == '<a href="#ZgotmplZ">' * 2


def test_values_with_a_text_of_their_own_are_texts_in_scripts() -> None:
    told = data_from_json(
        {
            "commonLabels": {"b": "<", "a": "1"},
            "alerts": [
                {
                    "startsAt": "2026-01-05T09:00:00Z",
                    "endsAt": "2026-01-05T10:00:00Z",
                    "labels": {"x": "</script>"},
                }
            ],
        }
    )
    script = (
        "{{ with index .Alerts 0 }}{{ .EndsAt.Sub .StartsAt }},{{ .EndsAt }}{{ .Labels }}{{ end }}"
    )
    assert page(f"<script>{{{{ .CommonLabels }}}}{script}</script>").render(told) == (
        '<script>"a=1, b=\\u003c""1h0m0s","2026-01-05T10:00:00Z""x=\\u003c/script\\u003e"</script>'
    )
    alerts = page("<script>{{ .Alerts }}</script>").render(told)
    assert '"labels":{"x":"\\u003c/script\\u003e"}' in alerts


def test_a_set_gives_texts_and_pages() -> None:
    texts = TemplateSet(FUNCTIONS)
    texts.add("a.tmpl", '{{ define "x" }}{{ . }}{{ end }}')
    call = '{{ template "x" . }}'
    assert page(f"{call}<a href='{call}'>", texts).render("a:<") == "a:&lt;<a href='#ZgotmplZ'>"
    assert texts.text(call).render("a:<") == "a:<"
    assert page(call, texts).render("<") == "&lt;"


def test_a_template_of_the_text_replaces_that_of_the_set() -> None:
    texts = TemplateSet(FUNCTIONS)
    texts.add("a.tmpl", '{{ define "x" }}set{{ end }}{{ define "y" }}{{ template "x" }}{{ end }}')
    assert page('{{ define "x" }}<b>own{{ end }}{{ template "y" }}', texts).render(None) == "<b>own"
    assert page('{{ template "y" }}', texts).render(None) == "set"


def test_markup_that_cannot_be_escaped_names_file_line_and_column() -> None:
    texts = TemplateSet(FUNCTIONS)
    texts.add("team.tmpl", '{{ define "x" }}\n<p>\u00e9<a =>{{ end }}')
    with pytest.raises(GoEscapeError) as refused:
        page('{{ template "x" . }}', texts)
    assert (refused.value.name, refused.value.line, refused.value.column) == ("team.tmpl", 2, 7)
    with pytest.raises(GoEscapeError) as refused:
        page("one\n  \u00e9{{ if . }}<a {{ end }}")
    assert (refused.value.name, refused.value.line, refused.value.column) == ("t", 2, 10)
    assert str(refused.value).startswith("html/template:t:2:10: {{if}} branches end in different")


def test_a_text_that_is_no_template_is_refused_as_one() -> None:
    with pytest.raises(GoParseError):
        page("<p>{{ if }}")


def test_a_page_keeps_to_the_limits() -> None:
    with pytest.raises(GoLimitError):
        page("<b>{{ . }}</b>").render("<" * 300, limits=Limits(output=1000))
    with pytest.raises(GoEscapeError, match="nesting"):
        chain = "".join(
            f'{{{{ define "t{at}" }}}}{{{{ template "t{at + 1}" }}}}{{{{ end }}}}'
            for at in range(2000)
        )
        page(chain + '{{ define "t2000" }}{{ end }}{{ template "t0" }}')
