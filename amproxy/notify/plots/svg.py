"""A drawing as SVG, for pages: light and dark by one text. Everything from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final, Literal

from amproxy.notify.plots.drawing import FONT_SIZE, Drawing, Label, Line, Mark, Rectangle
from amproxy.notify.plots.palette import DARK, LIGHT, Palette

Theme = Literal["light", "dark", "system"]
# Of an answer that is nothing but such a picture: it has styles of its own, and nothing else.
SVG_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

_WIDTHS: Final = {"grid": 1.0, "axis": 1.0, "limit": 1.5, "began": 1.5}
_LINE_WIDTH: Final = 1.75


def render_svg(drawing: Drawing, theme: Theme, title: str, description: str = "") -> str:
    """The SVG of a drawing. title, description: for those who cannot see it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{drawing.width}" '
        f'height="{drawing.height}" viewBox="0 0 {drawing.width} {drawing.height}" '
        f'font-family="system-ui, sans-serif" font-size="{FONT_SIZE}">'
    )
    body = (
        f"<title>{_text(title)}</title>",
        f"<desc>{_text(description)}</desc>" if description else "",
        f"<style>{_style(theme)}</style>",
        *map(_element, drawing.marks),
    )
    return "\n".join((head, *filter(None, body), "</svg>\n"))


def _style(theme: Theme) -> str:
    if theme != "system":
        return _rules(DARK if theme == "dark" else LIGHT)
    return f"{_rules(LIGHT)}@media (prefers-color-scheme: dark){{{_rules(DARK)}}}"


def _rules(palette: Palette) -> str:
    return "".join(_rules_of(palette))


def _rules_of(palette: Palette) -> Iterator[str]:
    for role, colour in palette.colours.items():
        yield f".{role}{{--c:{colour}}}"
    yield "text{fill:var(--c)}path{stroke:var(--c);fill:none}rect{fill:var(--c)}"
    yield f"rect.fires{{opacity:{palette.firing_opacity}}}"


def _element(mark: Mark) -> str:
    match mark:
        case Rectangle(x, y, width, height, role):
            return (
                f'<rect class="{role}" x="{x:.1f}" y="{y:.1f}" '
                f'width="{width:.1f}" height="{height:.1f}"/>'
            )
        case Line(points, role, dashed):
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            dashes = ' stroke-dasharray="6 4"' if dashed else ""
            width = _WIDTHS.get(role, _LINE_WIDTH)
            return (
                f'<path class="{role}" d="M{path}" stroke-width="{width}" '
                f'stroke-linejoin="round"{dashes}/>'
            )
        case Label(x, y, text, role, anchor):
            where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
            return f'<text class="{role}" {where}>{_text(text)}</text>'


def _text(text: str) -> str:
    """A text from outside; XML has no place for control characters, not even as references."""
    return escape("".join(char if char.isprintable() else " " for char in text))
