"""Issues of Jira, against a stand-in that refuses what Jira refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from amproxy.config.structs import HttpSettings
from amproxy.errors import DeliveryError
from amproxy.labels.matchers import quote
from amproxy.notify.channels.jira.channel import JiraChannel
from amproxy.notify.channels.jira.settings import JiraSettings
from amproxy.secret import Secret
from tests.support.notify.cards import card, resolved
from tests.support.notify.groups import DIGEST, group_card, integration, verdict
from tests.support.standins.jira import Issue, JiraStandIn
from tests.support.standins.serving import Response

LABEL = f"ALERT{{{DIGEST}}}"


@pytest.fixture
def service() -> Iterator[JiraStandIn]:
    with JiraStandIn() as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[JiraChannel]:
    made = JiraChannel()
    yield made
    await made.close()


def settings(service: JiraStandIn, **changes: Any) -> JiraSettings:
    values = {
        "api_url": service.url,
        "project": "OPS",
        "issue_type": "Bug",
        "summary": "[FIRING:1] DiskFull",
        "description": "# Alerts Firing:",
        "priority": "High",
        "http": HttpSettings(basic_auth_username="bot", basic_auth_password=Secret("jira-token")),
    }
    return JiraSettings(**values | changes)


def calls(service: JiraStandIn) -> list[str]:
    return [
        f"{request.method} {request.path.partition('/rest/api/')[2]}"
        for request in service.requests
    ]


def jql(service: JiraStandIn) -> str:
    return str(json.loads(service.requests[-2].body)["jql"])


async def test_a_group_makes_one_issue_with_all_that_the_file_says(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    fields = {
        "customfield_1": "5",
        "customfield_2": {"value": "prod"},
        "components": "[{name: db}]",
    }
    found = settings(service, labels=["disk", "Alertmanager"], fields=fields)
    await channel.send(found, group_card())
    assert calls(service) == ["POST 2/search", "POST 2/issue"]
    assert json.loads(service.requests[0].body) == {
        "jql": f'statusCategory != Done and project="OPS" and labels="{LABEL}"'
        " order by status ASC,resolutiondate DESC",
        "maxResults": 2,
        "fields": ["status"],
    }
    assert json.loads(service.requests[1].body) == {
        "fields": {
            "project": {"key": "OPS"},
            "issuetype": {"name": "Bug"},
            "summary": "[FIRING:1] DiskFull",
            "description": "# Alerts Firing:",
            "labels": [LABEL, "Alertmanager", "disk"],
            "priority": {"name": "High"},
            "customfield_1": 5,
            "customfield_2": {"value": "prod"},
            "components": [{"name": "db"}],
        }
    }
    assert service.requests[1].headers["accept-language"] == "en"


async def test_the_issue_is_found_again_changed_resolved_and_reopened(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    moving = {"resolve_transition": "Close", "reopen_transition": "Reopen"}
    found = settings(service, reopen_duration=3600.0, **moving)
    await channel.send(found, group_card())
    changed = settings(service, reopen_duration=3600.0, summary="[FIRING:2] DiskFull", **moving)
    await channel.send(changed, group_card())
    (issue,) = service.issues.values()
    assert issue.fields["summary"] == "[FIRING:2] DiskFull"
    await channel.send(found, group_card(over=True))
    assert (issue.status, issue.history) == ("Done", ["Close"])
    await channel.send(found, group_card())
    assert (issue.status, issue.history) == ("To Do", ["Close", "Reopen"])
    assert calls(service)[-4:] == [
        "POST 2/search",
        "PUT 2/issue/OPS-1",
        "GET 2/issue/OPS-1/transitions",
        "POST 2/issue/OPS-1/transitions",
    ]
    # one that was resolved too long ago stays as it is: there is a new one
    issue.status, issue.resolution, issue.minutes = "Done", "Fixed", 61
    await channel.send(found, group_card())
    assert list(service.issues) == ["OPS-1", "OPS-2"]


async def test_a_resolved_group_without_an_issue_makes_none(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    await channel.send(settings(service), group_card(over=True))
    assert (calls(service), service.issues) == (["POST 2/search"], {})


async def test_without_transitions_an_issue_stays_where_it_is(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    await channel.send(settings(service), group_card())
    await channel.send(settings(service), group_card(over=True))
    assert calls(service)[2:] == ["POST 2/search", "PUT 2/issue/OPS-1"]


async def test_an_issue_that_nobody_will_fix_is_not_reopened(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    kept = {"project": {"key": "OPS"}, "labels": [LABEL]}
    service.issues["OPS-1"] = Issue("OPS-1", kept, "Done", "Won't Fix", 5)
    found = settings(
        service,
        reopen_duration=90.0 * 60,
        reopen_transition="Reopen",
        wont_fix_resolution="Won't Fix",
    )
    await channel.send(found, group_card())
    assert list(service.issues) == ["OPS-1", "OPS-2"]
    assert jql(service).startswith(
        """(resolution is EMPTY or resolution != "Won't Fix") and """
        "(resolutiondate is EMPTY OR resolutiondate >= -90m) and project="
    )


async def test_what_an_update_must_not_touch_stays(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    await channel.send(settings(service), group_card())
    own = {"summary": "mine", "description": "by hand", "labels": [LABEL, "mine"]}
    service.issues["OPS-1"].fields |= own
    keep = {"update_summary": False, "update_description": False, "update_labels": False}
    await channel.send(settings(service, **keep), group_card())
    fields = service.issues["OPS-1"].fields
    assert {key: fields[key] for key in own} == own


@pytest.mark.parametrize(
    ("version", "api_type", "search"),
    [(2, "cloud", "3/search/jql"), (3, "cloud", "3/search/jql"), (3, "datacenter", "3/search")],
)
async def test_cloud_searches_at_another_address(
    channel: JiraChannel, version: int, api_type: str, search: str
) -> None:
    with JiraStandIn(version=version, cloud=api_type == "cloud") as service:
        await channel.send(settings(service, api_type=api_type, description=""), group_card())
        assert calls(service) == [f"POST {search}", f"POST {version}/issue"]
        service.assert_no_surprises()


async def test_cloud_is_known_by_its_host(channel: JiraChannel) -> None:
    with JiraStandIn(cloud=True) as service:
        proxy = service.url.partition("/rest/")[0]
        http = msgspec.structs.replace(settings(service).http, proxy_url=proxy)
        found = settings(service, api_url="http://acme.atlassian.net/rest/api/2/", http=http)
        await channel.send(found, group_card())
        assert calls(service) == ["POST 3/search/jql", "POST 2/issue"]
        service.assert_no_surprises()


async def test_version_3_takes_a_document_and_a_text_becomes_one(channel: JiraChannel) -> None:
    def paragraph(text: str) -> dict[str, Any]:
        return {"type": "paragraph", "content": [{"type": "text", "text": text}]}

    document = {"type": "doc", "version": 1, "content": [paragraph("a < b")]}
    with JiraStandIn(version=3) as service:
        for written, sent in (
            (f"\n {json.dumps(document)} ", document),
            (
                "one\n\ntwo",
                {"type": "doc", "version": 1, "content": [paragraph("one"), paragraph("two")]},
            ),
        ):
            await channel.send(settings(service, description=written), group_card())
            assert json.loads(service.requests[-1].body)["fields"]["description"] == sent
        await channel.send(settings(service, description=" \n"), group_card())
        assert "description" not in json.loads(service.requests[-1].body)["fields"]
        service.assert_no_surprises()


async def test_long_texts_are_cut(service: JiraStandIn, channel: JiraChannel) -> None:
    long = settings(service, summary="я" * 256, description="я" * 32_768, priority="")
    await channel.send(long, group_card())
    fields = service.issues["OPS-1"].fields
    assert (fields["summary"], fields["description"]) == ("я" * 254 + "…", "я" * 32_766 + "…")
    assert "priority" not in fields


async def test_an_incident_has_its_own_texts_and_ends_once(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    empty = settings(service, summary="", description="", priority="", resolve_transition="Close")
    ref = await channel.send(empty, card(incident="INC"))
    (issue,) = service.issues.values()
    assert issue.fields["summary"] == "HighCPU on eu1"
    ref = await channel.edit(empty, ref, card(incident="INC", state="acknowledged"))
    await channel.edit(empty, ref, resolved(incident="INC"))
    assert issue.status == "Done"


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (429, ("temporary", "rate_limited", None)),
        (503, ("temporary", "server_error", None)),
        (401, ("permanent", "auth_error", None)),
        (404, ("permanent", "client_error", None)),
    ],
)
async def test_the_status_says_whether_to_try_again(
    service: JiraStandIn, channel: JiraChannel, status: int, wanted: tuple[str, str, None]
) -> None:
    assert await verdict(channel, settings(service), service, Response(status)) == wanted


async def test_an_answer_that_cannot_be_read_is_tried_again(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    login = Response(200, b"<html>log in</html>")
    wanted = ("temporary", "server_error", None)
    assert await verdict(channel, settings(service), service, login) == wanted
    assert service.issues == {}


async def test_a_transition_that_does_not_exist_is_named(
    service: JiraStandIn, channel: JiraChannel
) -> None:
    found = settings(service, resolve_transition="Finish")
    await channel.send(found, group_card())
    with pytest.raises(DeliveryError, match="no transition Finish for issue OPS-1") as caught:
        await channel.send(found, group_card(over=True))
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('a "b" \\', '"a \\"b\\" \\\\"'),
        ("ü\n\x00\x7f", '"ü\\n\\x00\\x7f"'),
        ("\u200b\U000e0001", '"\\u200b\\U000e0001"'),
    ],
)
def test_texts_of_a_search_are_quoted_as_go_quotes(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "jira_configs: [{api_url: 'https://j.atlassian.net/rest/api/2/', project: P, issue_type: Bug,"
        " summary: {enable_update: false}, description: {template: '', enable_update: true},"
        " labels: {values: [a], enable_update: false}, reopen_duration: 1h, fields: {a: {b: c}}}]"
    ).settings
    assert (found.update_summary, found.description) == (False, '{{ "" }}')
    assert found.summary == '{{ template "jira.default.summary" . }}'
    assert (found.labels, found.update_labels, found.fields) == (["a"], False, {"a": {"b": "c"}})
    assert (found.api_type, found.reopen_duration) == ("auto", 3600.0)
    assert found.priority == '{{ template "jira.default.priority" . }}'
    older = integration(
        "jira_configs: [{api_url: 'https://j/rest/api/2', project: P, issue_type: Bug,"
        " summary: hot, labels: [a]}]"
    ).settings
    assert (older.summary, older.update_summary, older.labels) == ("hot", True, ["a"])
