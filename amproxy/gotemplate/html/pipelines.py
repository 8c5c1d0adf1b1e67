"""Escapers added to the pipelines of actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from amproxy.gotemplate.execution import Execution
from amproxy.gotemplate.html import escapers, script_escapers
from amproxy.gotemplate.html.context import Delimiter, EscapeFault, PageContext, State, UrlPart
from amproxy.gotemplate.nodes import ActionNode, CommandNode, IdentifierNode, Pipeline
from amproxy.gotemplate.values import ANY, Function, indirect

# Functions of the language with which a template may escape the end of a pipeline itself.
PREDEFINED: Final = frozenset({"html", "urlquery"})
_SAME: Final = {
    "attrescaper": "html",
    "htmlescaper": "html",
    "rcdataescaper": "html",
    "urlescaper": "urlquery",
    "urlnormalizer": "urlquery",
}
_PREFIX: Final = "_html_template_"
_EVALUATE: Final = "_eval_args_"


def _joined_values(execution: Execution, *values: object) -> str:
    return escapers.printed(execution, [indirect(value) for value in values])


ESCAPERS: Final[dict[str, Function]] = {
    name: Function(name, call, (), ANY, wants_execution=True)
    for name, call in {
        _EVALUATE: _joined_values,
        **{
            _PREFIX + short: call
            for short, call in {
                "attrescaper": escapers.escape_attribute,
                "commentescaper": escapers.escape_comment,
                "cssescaper": script_escapers.style_string,
                "cssvaluefilter": script_escapers.filter_style,
                "htmlescaper": escapers.escape_text,
                "htmlnamefilter": escapers.filter_name,
                "jsregexpescaper": script_escapers.script_regexp,
                "jsstrescaper": script_escapers.script_string,
                "jstmpllitescaper": script_escapers.script_template,
                "jsvalescaper": script_escapers.script_value,
                "nospaceescaper": escapers.escape_bare,
                "rcdataescaper": escapers.escape_rcdata,
                "srcsetescaper": escapers.filter_srcset,
                "urlescaper": escapers.escape_url,
                "urlfilter": escapers.filter_url,
                "urlnormalizer": escapers.normalize_url,
            }.items()
        },
    }.items()
}
_FOR_STATE: Final[dict[State, list[str]]] = {
    State.TEXT: ["htmlescaper"],
    State.RCDATA: ["rcdataescaper"],
    State.ATTRIBUTE: [],
    State.ATTRIBUTE_NAME: ["htmlnamefilter"],
    State.SRCSET: ["srcsetescaper"],
    State.META: [],
    State.META_URL: ["urlfilter"],
    State.SCRIPT: ["jsvalescaper"],
    State.SCRIPT_DOUBLE: ["jsstrescaper"],
    State.SCRIPT_SINGLE: ["jsstrescaper"],
    State.SCRIPT_TEMPLATE: ["jstmpllitescaper"],
    State.REGEXP: ["jsregexpescaper"],
    State.STYLE: ["cssvaluefilter"],
}


_URL_STATES = (State.URL, State.STYLE_URL, State.STYLE_SINGLE_URL, State.STYLE_DOUBLE_URL)


def escapers_for(context: PageContext, action: ActionNode) -> list[str]:
    """The escapers for an action that stands somewhere. Raises EscapeFault."""
    _check_predefined(context, action)
    if context.state in (State.STYLE_DOUBLE, State.STYLE_SINGLE):
        found = _url_escapers(context, action, "cssescaper")
    elif context.state in _FOR_STATE:
        found = list(_FOR_STATE[context.state])
    elif context.state in _URL_STATES:
        found = _url_escapers(context, action, "urlnormalizer")
    else:
        found = ["commentescaper"]
    if context.delimiter is Delimiter.SPACE:
        found.append("nospaceescaper")
    elif context.delimiter is not Delimiter.NONE:
        found.append("attrescaper")
    return found


def _url_escapers(context: PageContext, action: ActionNode, before_query: str) -> list[str]:
    if context.url_part is UrlPart.NONE:
        return ["urlfilter", before_query]
    if context.url_part is UrlPart.PRE_QUERY:
        return [before_query]
    if context.url_part is UrlPart.QUERY:
        return ["urlescaper"]
    raise EscapeFault(f"{action} appears in an ambiguous context within a URL", action)


def _check_predefined(context: PageContext, action: ActionNode) -> None:
    """Refuse an escaper of the language where what follows would undo it."""
    *before, last = (_function(command) for command in action.pipeline.commands)
    bad = next((name for name in before if name in PREDEFINED), "")
    is_bare = context.state is State.ATTRIBUTE and context.delimiter is Delimiter.SPACE
    if not bad and last == "html" and is_bare:
        bad = last
    if bad:
        raise EscapeFault(f'predefined escaper "{bad}" disallowed in template', action)


def _function(command: CommandNode) -> str:
    word = command.arguments[0]
    return word.name if isinstance(word, IdentifierNode) else ""


def add_escapers(pipeline: Pipeline, names: Sequence[str]) -> None:
    """Put escapers at the end of a pipeline; a predefined one there replaces its like."""
    if not names:
        return
    commands = pipeline.commands
    wanted = [_PREFIX + name for name in names]
    last = commands[-1]
    escaper = _function(last)
    if escaper in PREDEFINED:
        if len(commands) == 1 and len(last.arguments) > 1:
            # {{html .A .B}} is {{.A and .B in one text | html}}
            last.arguments[0] = _word(last, _EVALUATE)
            commands.append(_call(last, escaper))
        same = [at for at, name in enumerate(names) if _SAME.get(name) == escaper]
        for at in same:
            wanted[at] = escaper
        if same:
            commands.pop()
    commands += [_call(last, name) for name in wanted]


def _call(command: CommandNode, name: str) -> CommandNode:
    return CommandNode(command.tree, command.position, [_word(command, name)])


def _word(command: CommandNode, name: str) -> IdentifierNode:
    return IdentifierNode(command.tree, command.position, name)
