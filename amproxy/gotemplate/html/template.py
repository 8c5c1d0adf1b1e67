"""Texts as templates of pages."""

from __future__ import annotations

from amproxy.gotemplate.html.pipelines import ESCAPERS
from amproxy.gotemplate.html.trees import escaped_trees
from amproxy.gotemplate.template import Template, TemplateSet


def html_text(templates: TemplateSet, text: str, name: str = "") -> Template:
    """A text as a template that can use those of a set, each value escaped for its place.

    Raises GoParseError, and GoEscapeError for markup in which a value could not be escaped.
    """
    trees = templates.text(text, name).trees
    functions = {**templates.functions, **ESCAPERS}
    owner = TemplateSet(functions, templates.missing_key, templates.trees)
    return Template(owner, escaped_trees(trees, name), name)
