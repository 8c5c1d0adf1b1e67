"""A bar of a timeline as SVG. There are hundreds on a page, which is why Python draws them and no template. Pure."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup, escape

from amproxy.web.schedules.timeline import Bar
from amproxy.web.schedules.words import Links, Speaker

NAMED: Final = 3  # people of one bar whose marks have room


def bar(one: Bar, speaker: Speaker, links: Links | None = None) -> Markup:
    """One bar; with links it leads to the forms, filled in."""
    entry, users = one.entry, one.entry.people
    share = 100 / len(users) if users else 100.0
    if users:
        shapes = "".join(
            f'<rect class="{speaker.tone(user)}" y="{share * n:.4g}%" width="100%" height="{share:.4g}%"/>' for n, user in enumerate(users)
        )
        several = " of-several" if len(users) > 1 else ""
        marks = "".join(
            f'<text class="mark{several}" x="50%" y="{share * (n + 0.5):.4g}%">{escape(speaker.mark(user))}</text>'
            for n, user in enumerate(users[:NAMED])
        )
    else:
        shapes = '<rect class="nobody" width="100%" height="100%"/><rect fill="url(#hatch)" width="100%" height="100%"/>'
        marks = '<text class="mark" x="50%" y="50%">!</text>'
    name = f"{speaker.names(users)}{' ?' if entry.state == 'open' else ''}"
    texts = f'<text class="name" x="7" y="50%">{escape(name)}</text>{marks}' if one.size != "tiny" else ""
    inside = f'{shapes}<rect class="edge" width="100%" height="100%"/>{texts}'
    kind = f"bar {one.size} {entry.kind} {entry.state}".rstrip()
    body = f'<title>{escape(speaker.tip(entry))}</title><svg x="{one.x:g}%" width="{one.width:g}%" height="100%">{inside}</svg>'
    if links is None:
        return Markup(f'<g class="{kind}">{body}</g>')  # noqa: S704  # what comes from outside is escaped above
    start, end = speaker.field(entry.start), speaker.field(entry.end)
    filled = f'data-user="{escape(users[0] if users else "")}" data-start="{start}" data-end="{end}"'
    return Markup(f'<a href="{escape(links(entry))}" class="{kind}" {filled}>{body}</a>')  # noqa: S704
