"""Grafana, from its own provisioning files to what people see, field by field."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from amproxy.accept.tokens import SIGNATURE_HEADERS
from amproxy.config.structs import Config, Source
from amproxy.model import Alert
from amproxy.notify.compose import alert_picture
from amproxy.notify.grafana import public_pairs, read_link, values_text
from amproxy.notify.message import Card
from amproxy.secret import Secret
from amproxy.store import groups, incidents
from amproxy.store.pictures import MAX_PICTURES, load_picture
from tests.support.accept import grafana
from tests.support.cases import ALERTMANAGER
from tests.support.integration.house import House, config
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]
DEPLOY = Path(__file__).parents[2] / "deploy" / "grafana"
TOKEN, HMAC_SECRET = "a-token-for-tests", "a-secret-for-tests"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"pixels"


def contact_points() -> dict[str, Any]:
    """Name → receiver of the shipped file, with what it has in comments, and its secrets read."""
    text = (DEPLOY / "contact-points.yml").read_text()
    text = re.sub(r"# (?=(?:  )?(?:hmacConfig|secret|timestampHeader):)", "", text)
    secrets = {"/etc/grafana/amproxy_token": TOKEN, "/etc/grafana/amproxy_hmac": HMAC_SECRET}
    text = re.sub(r"\$__file\{([^}]+)\}", lambda found: secrets[found[1]], text)
    file = YAML(typ="safe").load(text)
    assert file["apiVersion"] == 1 and set(file) == {"apiVersion", "contactPoints"}
    for point in file["contactPoints"]:
        assert set(point) == grafana.CONTACT_POINT_FIELDS
    return {point["name"]: point["receivers"][0] for point in file["contactPoints"]}


async def signing_house(house_of: Build) -> House:
    source = Source(name="grafana", token=Secret(TOKEN), hmac_secret=Secret(HMAC_SECRET))
    return await house_of(config(sources={"grafana": source}))


async def pushed(house: House, *alerts: dict[str, Any], **more: Any) -> list[Alert]:
    """The alerts of the incident, once they are pushed by the webhook and paged."""
    assert (await house.post("/webhook/g", grafana.body(*alerts, **more)))[0] == 200
    return await paged(house)


async def paged(house: House) -> list[Alert]:
    await soon(lambda: house.chat.sent)
    [incident] = await house.incidents()
    return await incidents.load_alerts(house.context.wire, incident.id)


def page_of(house: House) -> Card:
    return house.chat.sent[0][1]


# The files


def test_the_contact_points_have_the_fields_that_grafana_reads() -> None:
    by_webhook, by_api = contact_points().values()
    for receiver in (by_webhook, by_api):
        assert set(receiver) == grafana.RECEIVER_FIELDS
        assert receiver["disableResolveMessage"] is False
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", receiver["uid"])
    assert by_webhook["type"] == "webhook"
    settings = by_webhook["settings"]
    assert grafana.WEBHOOK_NEEDS <= set(settings) <= grafana.WEBHOOK_SETTINGS
    assert settings["httpMethod"] in ("POST", "PUT") and settings["maxAlerts"] == "0"
    assert set(settings["hmacConfig"]) <= grafana.HMAC_SETTINGS
    assert by_api["type"] == "prometheus-alertmanager"
    assert set(by_api["settings"]) == grafana.ALERTMANAGER_SETTINGS


def test_the_policies_name_a_contact_point_of_the_file_beside_them() -> None:
    file = YAML(typ="safe").load((DEPLOY / "notification-policies.yml").read_text())
    assert file["apiVersion"] == 1 and set(file) == {"apiVersion", "policies"}
    [policy] = file["policies"]
    assert set(policy) <= grafana.POLICY_FIELDS
    assert policy["receiver"] in contact_points()
    assert policy["group_by"] == ["grafana_folder", "alertname"]
    for wait in ("group_wait", "group_interval", "repeat_interval"):
        assert re.fullmatch(r"\d+[smh]", policy[wait])


async def test_what_grafana_sends_by_the_shipped_contact_point_pages(house_of: Build) -> None:
    house = await signing_house(house_of)
    settings = contact_points()["amproxy"]["settings"]
    sent = grafana.body(grafana.alert())
    url, content, headers = grafana.request(settings, sent, house.context.now())
    assert (await house.post(urlsplit(url).path, None, raw=content, headers=headers))[0] == 200
    assert [one.labels["instance"] for one in await paged(house)] == ["mq-1"]
    late = grafana.request(settings, sent, house.context.now() - 301)[2]
    assert (await house.post(urlsplit(url).path, None, raw=content, headers=late))[0] == 401


async def test_what_grafana_sends_to_the_alerts_api_pages(house_of: Build) -> None:
    house = await house_of(config(sources={"g": Source(name="g", token=Secret(TOKEN))}))
    settings = contact_points()["amproxy by the alerts API"]["settings"]
    name, password = settings["basicAuthUser"], settings["basicAuthPassword"]
    headers = {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
    path = ALERTMANAGER / "grafana_webhook_samples" / "alertmanager_contact_point_post.json"
    [sent] = json.loads(path.read_text())["payload"]
    sent["annotations"] |= {"__dashboardUid__": "dAsh-1", "__panelId__": "7"}
    del sent["endsAt"]
    assert (await house.post("/api/v2/alerts", [sent], headers=headers))[0] == 200
    await paged(house)
    card = page_of(house)
    assert values_text(card.alerts[0]) == "A = 4523.5, C = 1"
    assert [picture.url for picture in card.pictures] == ["https://images.example.org/g/1.png"]
    links = {link.text: link.url for link in card.links}
    assert links["Panel"].startswith("https://grafana.example.org/d/dAsh-1?orgId=1&")
    assert links["Panel"].endswith("&viewPanel=7")
    assert "__alert_rule_uid__%3Dce1a2b3c4d" in links["Silence in Grafana"]
    assert "__" not in card.text


# The fields

SHOWN: dict[str, Callable[[Card], Any]] = {
    "labels": lambda card: card.labels["grafana_folder"] == "Shop",
    "annotations": lambda card: "Backlog over limit" in card.text,
    "startsAt": lambda card: card.alerts[0].starts_ns == 1_772_616_030_123_456_789,
    "generatorURL": lambda card: "ce1a2b3c4d/view?orgId=1" in card.links[-1].url,
    "fingerprint": lambda card: card.alerts[0].fingerprint == "bab3c32b8f2ef818",
    "silenceURL": lambda card: "Silence in Grafana" in {link.text for link in card.links},
    "dashboardURL": lambda card: "Dashboard" in {link.text for link in card.links},
    "panelURL": lambda card: "Panel" in {link.text for link in card.links},
    "values": lambda card: values_text(card.alerts[0]) == "A = 4523.5, C = 1",
    "imageURL": lambda card: card.pictures[0].url == "https://images.example.org/g/1.png",
}
# Kept with the alert for the API, and shown to nobody as they are.
KEPT = ("ruleUID", "valueString", "orgId", "enrichments")


async def test_every_field_of_an_alert_of_the_webhook_is_shown_or_kept(house_of: Build) -> None:
    house = await house_of(config())
    sent = grafana.alert()
    assert tuple(sent) == grafana.ALERT_FIELDS
    assert tuple(grafana.body(sent)) == grafana.BODY_FIELDS
    [stored] = await pushed(house, sent)
    card = page_of(house)
    for field in grafana.ALERT_FIELDS:
        if field in SHOWN:
            assert SHOWN[field](card), field
        elif field in KEPT:
            assert stored.extra[field] == sent[field], field
        else:
            assert field in ("status", "endsAt", "embeddedImage"), field


def private(**annotations: str) -> Alert:
    return Alert(
        fingerprint="f",
        labels={"alertname": "Queue backlog"},
        annotations=annotations,
        starts_ns=1_772_616_030 * 10**9,
        generator_url=f"{grafana.BASE}/alerting/grafana/ce1a2b3c4d/view",
    )


PICTURE_URL = "https://images.example.org/g/1.png"
# Annotation → its value, and what is read of it where the webhook would have a field.
READ: dict[str, tuple[str, Callable[[Alert], bool]]] = {
    "__values__": ('{"A": 5}', lambda alert: values_text(alert) == "A = 5"),
    "__value_string__": (
        "[ var='A' labels={} value=5 ]",
        lambda alert: values_text(alert) == "A = 5",
    ),
    "__orgId__": ("3", lambda alert: "orgId=3" in dashboard_of(alert)),
    "__dashboardUid__": ("dAsh-1", lambda alert: "/d/dAsh-1?" in dashboard_of(alert)),
    "__panelId__": ("7", lambda alert: "viewPanel=7" in read_link(alert, "panelURL")),
    "__alertImageToken__": (PICTURE_URL, lambda alert: alert_picture(alert) == PICTURE_URL),
    "__alert_image_url__": (PICTURE_URL, lambda alert: alert_picture(alert) == PICTURE_URL),
}


def dashboard_of(alert: Alert) -> str:
    return read_link(alert, "dashboardURL")


@pytest.mark.parametrize("name", grafana.PRIVATE_ANNOTATIONS)
def test_every_annotation_that_the_contact_point_leaves_in_is_read_and_hidden(name: str) -> None:
    value, is_read = READ[name]
    assert is_read(private(**{"__dashboardUid__": "d", name: value}))
    assert public_pairs({name: value, "summary": "x"}) == {"summary": "x"}


def test_the_signature_is_looked_for_under_grafanas_default_name() -> None:
    assert grafana.DEFAULT_SIGNATURE_HEADER.lower().encode() in SIGNATURE_HEADERS


async def test_an_alert_without_values_and_links_pages_as_well(house_of: Build) -> None:
    house = await house_of(config())
    bare = {"values": None, "valueString": "", "dashboardURL": "", "panelURL": "", "imageURL": ""}
    await pushed(house, grafana.alert(**bare))
    card = page_of(house)
    assert card.pictures == [] and {link.text for link in card.links} == {
        "Silence in Grafana",
        "Source",
    }


@pytest.mark.parametrize("name", ["DatasourceError", "DatasourceNoData"])
async def test_the_rule_and_the_error_of_a_failed_query_are_in_title_and_text(
    house_of: Build, name: str
) -> None:
    house = await house_of(config())
    error = "failed to execute query [A]: connection refused"
    labels = {"alertname": name, "rulename": "Orders", "ref_id": "A", "datasource_uid": "ds-1"}
    annotations = {"summary": "Too few orders", "grafana_state_reason": "Error", "Error": error}
    await pushed(house, grafana.alert(labels, annotations=annotations))
    card = page_of(house)
    assert card.title.startswith(f"Orders: {name}: {error}")
    assert error in card.text and card.labels["rulename"] == "Orders"
    [incident] = await house.incidents()
    assert incident.title == card.title


async def test_alerts_that_grafana_cut_off_are_counted_until_it_sends_all(house_of: Build) -> None:
    house = await house_of(config())
    [stored] = await pushed(house, grafana.alert(), truncated=3)
    assert stored.extra["truncatedAlerts"] == 3
    assert page_of(house).left_out == 3
    assert (await house.post("/webhook/g", grafana.body(grafana.alert())))[0] == 200

    async def told() -> bool:
        [name] = await groups.load_group_ids(house.context.wire)
        loaded = await groups.load_group(house.context.wire, name)
        return loaded is not None and "truncatedAlerts" not in loaded.alerts[0].extra

    await soon(told)


# Pictures in alerts


async def test_a_picture_in_an_alert_is_kept_apart_from_it(house_of: Build) -> None:
    house = await house_of(config())
    text = base64.b64encode(PICTURE).decode()
    for given in (text, f"data:image/png;base64,{text}"):
        sent = grafana.body(grafana.alert(embeddedImage=given, imageURL=""))
        assert (await house.post("/webhook/g", sent))[0] == 200
    [stored] = await paged(house)
    digest = stored.extra["embeddedImage"]
    assert re.fullmatch("[0-9a-f]{32}", digest)
    assert await load_picture(house.context.wire, digest) == PICTURE
    assert stored.repairs == []


async def test_an_alert_whose_picture_cannot_be_kept_pages_all_the_same(house_of: Build) -> None:
    house = await house_of(config())
    await house.context.wire.call("SET", "amproxy:{0}:pictures", "of another type")
    [stored] = await pushed(
        house, grafana.alert(embeddedImage=base64.b64encode(PICTURE).decode(), imageURL="")
    )
    assert stored.labels["instance"] == "mq-1"


@pytest.mark.parametrize(
    "given",
    [
        *("not base64", "aGVsbG8=", 5, ["x"], "../../etc/passwd", "0" * 32),
        base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(),
        base64.b64encode(PICTURE + bytes(300_000)).decode(),
    ],
)
async def test_what_is_no_picture_or_too_large_is_left_out_and_told(
    house_of: Build, given: Any
) -> None:
    house = await house_of(config())
    [stored] = await pushed(house, grafana.alert(embeddedImage=given))
    assert "embeddedImage" not in stored.extra
    assert [(note.code, note.field) for note in stored.repairs] == [("left_out", "embeddedImage")]
    assert await house.context.wire.call("EXISTS", "amproxy:{0}:pictures") == 0


async def test_only_the_last_pictures_are_kept_and_few_of_one_push(house_of: Build) -> None:
    house = await house_of(config())
    alerts = [
        grafana.alert(
            {"instance": f"mq-{number}"},
            fingerprint=f"{number:016x}",
            embeddedImage=base64.b64encode(PICTURE + bytes([number])).decode(),
        )
        for number in range(MAX_PICTURES + 30)
    ]
    for start in range(0, len(alerts), 10):
        assert (await house.post("/webhook/g", grafana.body(*alerts[start : start + 10])))[0] == 200
    assert await house.context.wire.call("HLEN", "amproxy:{0}:pictures") == MAX_PICTURES
    assert await house.context.wire.call("ZCARD", "amproxy:{0}:pictures:times") == MAX_PICTURES
    await house.context.wire.call("DEL", "amproxy:{0}:pictures", "amproxy:{0}:pictures:times")
    assert (await house.post("/webhook/g", grafana.body(*alerts)))[0] == 200
    assert await house.context.wire.call("HLEN", "amproxy:{0}:pictures") == 10
