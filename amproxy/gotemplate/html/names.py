"""Names of elements and attributes that decide what their content is."""

from __future__ import annotations

from amproxy.gotemplate.casing import to_lower
from amproxy.gotemplate.html.context import Attribute, Element

ELEMENTS = {
    "script": Element.SCRIPT,
    "style": Element.STYLE,
    "textarea": Element.TEXTAREA,
    "title": Element.TITLE,
    "meta": Element.META,
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_URLS = _words(
    "action archive background cite classid codebase data formaction href icon longdesc manifest"
    " poster profile src usemap xmlns"
)
# Attributes that change what the page is or how it is read: no value may choose one of them.
_UNSAFE = _words(
    "accept-charset async challenge charset content crossorigin defer enctype form formenctype"
    " formmethod formnovalidate http-equiv keytype language method novalidate pattern rel sandbox"
    " srcdoc type value"
)
# Known names that only look like the name of a URL.
_NO_URLS = frozenset({"srclang"})
_URL_SIGNS = ("src", "uri", "url")
_SCRIPT_TYPES = frozenset(
    f"{group}/{name}"
    for group, names in {
        "application": "ecmascript javascript json ld+json x-ecmascript x-javascript",
        "text": "ecmascript javascript javascript1.0 javascript1.1 javascript1.2 javascript1.3"
        " javascript1.4 javascript1.5 jscript livescript x-ecmascript x-javascript",
    }.items()
    for name in names.split()
) | {"module"}


def attribute_kind(name: str) -> Attribute:
    """The kind of an attribute by its name, in small letters."""
    if name.startswith("data-"):
        name = name[5:]
    elif ":" in name:
        space, name = name.split(":", 1)
        if space == "xmlns":
            return Attribute.URL
    if name in _URLS:
        return Attribute.URL
    if name in _UNSAFE or name in _NO_URLS:
        return Attribute.PLAIN
    if name == "style":
        return Attribute.STYLE
    if name == "srcset":
        return Attribute.SRCSET
    if name.startswith("on"):
        return Attribute.SCRIPT
    # Names that programs of the page made up.
    return Attribute.URL if any(sign in name for sign in _URL_SIGNS) else Attribute.PLAIN


def attribute_of(element: Element, name: str) -> Attribute:
    """The kind of an attribute of an element."""
    name = to_lower(name)
    if element is Element.SCRIPT and name == "type":
        return Attribute.SCRIPT_TYPE
    if element is Element.META and name == "content":
        return Attribute.META
    return attribute_kind(name)


def is_harmless(name: str) -> bool:
    """Tell whether a value may be the name, in small letters, of an attribute."""
    return name not in _UNSAFE and attribute_kind(name) is Attribute.PLAIN


def is_script_type(text: str) -> bool:
    """Tell whether the type of a script element is one of a script or of JSON."""
    kind = to_lower(text.partition(";")[0]).strip()
    return not kind or kind in _SCRIPT_TYPES
