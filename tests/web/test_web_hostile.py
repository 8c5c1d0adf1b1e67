"""Alert text is data: whatever it holds, no page runs it, is turned around by it or drowns in it."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from amproxy.machine.events import Failed, Note
from amproxy.model import Alert
from tests.support.web.pages import BIDI, LONG, SCRIPT, Tags
from tests.support.web.website import Site


@pytest.mark.parametrize("evil", [SCRIPT, BIDI, LONG], ids=["script", "bidi", "long"])
async def test_hostile_alert_text_is_harmless_on_every_page(site: Site, evil: str) -> None:
    labels = {"alertname": evil, evil[:200]: evil, "team": evil}
    incident = await site.opened(
        title=evil, group_labels=labels, common_labels=labels, receiver=evil
    )
    annotations = {"summary": evil, "runbook_url": f"javascript:{evil}", evil[:200]: evil}
    alert = Alert(
        fingerprint="a",
        labels=labels | {"own": evil},
        annotations=annotations,
        starts_ns=1,
        generator_url=f"https://example.org/{evil}",
        extra={
            "dashboardURL": f"data:text/html,{evil}",
            "panelURL": 5,
            "imageURL": f"javascript:{evil}",
            "values": {evil: evil, "list": [evil]},
        },
    )
    incident = await site.with_alerts(incident, alert)
    incident = await site.stored(incident, Failed(page=incident.pages[0].id, error=evil, attempt=1))
    await site.stored(incident, Note(user="", via="web", text=evil))
    other = await site.opened(title=evil)
    site.deps.console.write(evil)
    links = site.deps.links()
    assert links
    token = links.sign(incident.id, "acknowledge", incident.epoch, "")
    for path in (
        "/",
        f"/incidents/{incident.id}",
        f"/incidents/{other.id}?why=" + quote(evil[:300]),
        "/incidents",
        "/page?title=" + quote(evil[:300]),
        f"/act/{token}",
        "/incidents/" + SCRIPT.replace("/", "%2F"),
    ):
        answer = await site.client.get(path, follow_redirects=True)
        tags = Tags()
        tags.feed(answer.text)
        scripts = [attributes.get("src") or "" for tag, attributes in tags.seen if tag == "script"]
        assert scripts and all(re.fullmatch(r"/static/\w+\.js\?v=\w+", src) for src in scripts), (
            path
        )
        assert not [
            tag
            for tag, attributes in tags.seen
            if any(name.startswith("on") or name == "style" for name in attributes)
        ]
        assert not [tag for tag, _ in tags.seen if tag == "img"]
        for _, attributes in tags.seen:
            assert not re.match(
                r"\s*(javascript|data|vbscript):", attributes.get("href") or "", re.IGNORECASE
            )
        assert not set("\u202e\u2066\x00\x1b") & set(answer.text)
        assert len(answer.text) < 80_000, f"{path} is {len(answer.text)} characters long"
        assert "49{" not in answer.text


async def test_a_value_that_was_cut_says_how_long_it_was(site: Site) -> None:
    incident = await site.opened(common_labels={"dump": LONG})
    assert "… (100,000 characters)" in (await site.client.get(f"/incidents/{incident.id}")).text


EVIL_PICTURES = [
    *("https://a.example;script-src *", "https://[2001:db8::1]/1.png", "http://x,y.example/1.png"),
    *("https://user:secret@a.example/1.png", "https://a_b.example/1.png", "https://'self'/1.png"),
    *("http://a.example:99999/1.png", "data:image/png;base64,AA", "https://a.example/1.png\n"),
]


@pytest.mark.parametrize("url", EVIL_PICTURES)
async def test_no_picture_widens_the_policy_of_its_page(site: Site, url: str) -> None:
    alert = Alert(fingerprint="a", labels={"a": "b"}, starts_ns=1, extra={"imageURL": url})
    incident = await site.with_alerts(await site.opened(), alert)
    answer = await site.client.get(f"/incidents/{incident.id}")
    assert answer.status_code == 200 and "<img" not in answer.text
    plain = await site.client.get("/")
    assert answer.headers["content-security-policy"] == plain.headers["content-security-policy"], (
        answer.headers["content-security-policy"]
    )
