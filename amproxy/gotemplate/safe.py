"""Strings that say of themselves what they are: html/template does not escape them there."""

from __future__ import annotations

from typing import ClassVar

from amproxy.gotemplate.values import GoType, TypeKind


class SafeHTML(str):
    """template.HTML: a part of a document."""

    __slots__ = ()
    go_type: ClassVar[GoType]


class SafeURL(str):
    """template.URL: a URL or a part of one."""

    __slots__ = ()
    go_type: ClassVar[GoType]


SafeHTML.go_type = GoType("template.HTML", TypeKind.STRING, make=SafeHTML, zero=SafeHTML)
SafeURL.go_type = GoType("template.URL", TypeKind.STRING, make=SafeURL, zero=SafeURL)
