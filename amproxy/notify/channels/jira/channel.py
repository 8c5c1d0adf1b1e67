"""Issues of Jira: a group's is searched, made or changed, and moved on at its end."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from amproxy import offload
from amproxy.errors import DeliveryError
from amproxy.notify.alertmanager_payload import go_json
from amproxy.notify.channels.http import RemoteResponse
from amproxy.notify.channels.jira.issue import (
    JiraIssue,
    JiraSearchResult,
    JiraTransitions,
    issue_body,
    search_body,
)
from amproxy.notify.channels.jira.settings import JiraSettings
from amproxy.notify.channels.receiver import EventChannel, address_below, is_resolved, state_ref
from amproxy.notify.message import Card
from amproxy.text import phrase

_RETRIED: Final = frozenset((429,))
_HEADERS: Final = {"Content-Type": "application/json", "Accept-Language": "en"}
_ANSWER_LIMIT: Final = 1024 * 1024  # bytes

_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class JiraChannel(EventChannel):
    """The REST API of Jira Cloud and of Data Center.

    A message takes up to four requests. What is sent anew begins with the search, so that an issue
    that was made is found.
    """

    name = "jira"
    service = "Jira"

    def destination(self, settings: JiraSettings) -> str:
        """The project of a Jira."""
        return f"{settings.api_url} {settings.project}"

    async def send(self, settings: JiraSettings, card: Card) -> dict[str, str]:
        """Bring the group's issue up to date. Raises DeliveryError."""
        firing = not is_resolved(card)
        issue = await self._search(settings, card, firing=firing)
        if issue is None and not firing:
            return state_ref(card)  # nobody needs an issue for what is over
        build = partial(issue_body, settings, card, exists=issue is not None)
        body = await offload.run(len(card.alerts), build)
        if issue is None:
            await self._call(settings, "POST", "issue", body)
            return state_ref(card)
        await self._call(settings, "PUT", f"issue/{issue.key}", body)
        done = issue.is_done()
        if firing and done:
            await self._move(settings, issue.key, settings.reopen_transition)
        elif not firing and done is False:
            await self._move(settings, issue.key, settings.resolve_transition)
        return state_ref(card)

    async def _search(
        self, settings: JiraSettings, card: Card, *, firing: bool
    ) -> JiraIssue | None:
        """The group's issue; of several the one resolved last."""
        body = search_body(settings, card, firing=firing)
        response = await self._request(settings, "POST", _search_address(settings), body)
        found = _decode(response, JiraSearchResult).issues
        return found[0] if found else None

    async def _move(self, settings: JiraSettings, key: str, name: str) -> None:
        """Take the transition of this name, "" = none."""
        if not name:
            return
        path = f"issue/{key}/transitions"
        answer = _decode(await self._call(settings, "GET", path), JiraTransitions)
        found = next((each.id for each in answer.transitions or () if each.name == name), None)
        if found is None:
            words = phrase("failure.jira_transition", transition=name, issue=key)
            raise DeliveryError(words, permanent=True)
        await self._call(settings, "POST", path, {"transition": {"id": found}})

    async def _call(
        self, settings: JiraSettings, method: str, path: str, body: dict[str, Any] | None = None
    ) -> RemoteResponse:
        address = str(address_below(settings.api_url, path))
        return await self._request(settings, method, address, body)

    async def _request(
        self, settings: JiraSettings, method: str, address: str, body: dict[str, Any] | None
    ) -> RemoteResponse:
        content: dict[str, Any] = {} if body is None else {"content": go_json(body) + b"\n"}
        return await self._ask(
            settings,
            address,
            retried=_RETRIED,
            method=method,
            limit=_ANSWER_LIMIT,
            headers=_HEADERS,
            **content,
        )


def _decode(response: RemoteResponse, form: type[_Answer]) -> _Answer:
    try:
        return msgspec.json.decode(response.body, type=form)
    except (msgspec.DecodeError, UnicodeError):
        words = phrase("failure.unreadable", service="Jira")
        raise DeliveryError(words, reason="server_error") from None


def _search_address(settings: JiraSettings) -> str:
    """The address of the search: Cloud has another than Data Center, of version 3 only."""
    host = urlsplit(settings.api_url).netloc
    is_cloud = settings.api_type == "cloud" or (
        settings.api_type == "auto" and host.endswith("atlassian.net")
    )
    if not is_cloud:
        return str(address_below(settings.api_url, "search"))
    address = str(address_below(settings.api_url, "search/jql"))
    return address.replace("/rest/api/2/", "/rest/api/3/", 1)
