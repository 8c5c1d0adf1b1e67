"""Jira's REST API on loopback, Cloud and Data Center, refusing what the real one refuses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.support.standins.services import ServiceStandIn, check
from tests.support.standins.serving import Request, Response

AUTHORIZATION = "Basic Ym90OmppcmEtdG9rZW4="  # bot:jira-token
_STANDARD = {"project", "issuetype", "summary", "description", "labels", "priority"}
_CUSTOM = {"customfield_1", "customfield_2", "components"}
_STATUSES = {"To Do": "new", "In Progress": "indeterminate", "Done": "done"}
_TRANSITIONS = {"11": ("Start", "In Progress"), "21": ("Close", "Done"), "31": ("Reopen", "To Do")}


@dataclass
class Issue:
    key: str
    fields: dict[str, Any]
    status: str = "To Do"
    resolution: str = ""
    minutes: int = 0  # since it was resolved
    history: list[str] = field(default_factory=list)  # the transitions that were taken


class JiraStandIn(ServiceStandIn):
    """`issues` by their keys. version: of the API in the address; cloud: without the old search."""

    def __init__(self, *, version: int = 2, cloud: bool = False) -> None:
        super().__init__()
        self.issues: dict[str, Issue] = {}
        self._version, self._cloud = version, cloud

    @property
    def url(self) -> str:
        return f"{super().url}/rest/api/{self._version}/"

    def take(self, request: Request) -> Response:
        known = request.headers.get("authorization") == AUTHORIZATION
        check(known, 401, {"errorMessages": ["You are not authenticated"]})
        root, version = re.match(r"(/rest/api/(\d)/)", request.path).groups()  # type: ignore[union-attr]
        body = json.loads(request.body) if request.body else {}
        if request.body:
            check(request.headers.get("content-type") == "application/json", 415, {})
        match request.method, request.path.removeprefix(root).split("/"):
            case "POST", ["search"]:
                check(not self._cloud, 410, {"errorMessages": ["removed: migrate to search/jql"]})
                return self._search(body)
            case "POST", ["search", "jql"]:
                check(self._cloud and version == "3", 404, {})
                return self._search(body)
            case "POST", ["issue"]:
                _check_fields(body, version, new=True)
                key = f"OPS-{len(self.issues) + 1}"
                self.issues[key] = Issue(key, body["fields"])
                return Response.json({"id": "1", "key": key}, 201)
            case "PUT", ["issue", key]:
                _check_fields(body, version, new=False)
                self._issue(key).fields |= body["fields"]
                return Response(204)
            case "GET", ["issue", key, "transitions"]:
                offered = [
                    {"id": number, "name": name} for number, (name, _) in _TRANSITIONS.items()
                ]
                return Response.json({"transitions": offered if self._issue(key) else []})
            case "POST", ["issue", key, "transitions"]:
                _invalid(list(body) == ["transition"], "transition")
                self._move(self._issue(key), body["transition"]["id"])
                return Response(204)
        check(False, 404, {"errorMessages": ["no such path"]})
        raise AssertionError

    def _issue(self, key: str) -> Issue:
        check(key in self.issues, 404, {"errorMessages": ["Issue does not exist"]})
        return self.issues[key]

    def _move(self, issue: Issue, number: str) -> None:
        name, issue.status = _TRANSITIONS[number]
        issue.history.append(name)
        issue.resolution, issue.minutes = ("Fixed" if issue.status == "Done" else ""), 0

    def _search(self, body: dict[str, Any]) -> Response:
        _invalid(set(body) <= {"jql", "maxResults", "fields"}, "unknown keys")
        jql, _, order = body["jql"].partition(" order by ")
        _invalid(order == "status ASC,resolutiondate DESC", f"order {order!r}")
        found = [issue for issue in self.issues.values() if _matches(jql, issue)]
        found.sort(key=lambda issue: (list(_STATUSES).index(issue.status), issue.minutes))
        shown = [
            {
                "key": issue.key,
                "fields": {
                    "status": {
                        "name": issue.status,
                        "statusCategory": {"key": _STATUSES[issue.status]},
                    }
                },
            }
            for issue in found[: body["maxResults"]]
        ]
        return Response.json({"issues": shown})


def _matches(jql: str, issue: Issue) -> bool:
    """The part of JQL that Alertmanager uses; all else is refused."""
    return all(_holds(condition, issue) for condition in jql.split(" and "))


def _holds(condition: str, issue: Issue) -> bool:
    done = _STATUSES[issue.status] == "done"
    if condition == "statusCategory != Done":
        return not done
    if found := re.fullmatch(r'\(resolution is EMPTY or resolution != "([^"]*)"\)', condition):
        return issue.resolution in ("",) or issue.resolution != found[1]
    if found := re.fullmatch(
        r"\(resolutiondate is EMPTY OR resolutiondate >= -(\d+)m\)", condition
    ):
        return not issue.resolution or issue.minutes <= int(found[1])
    if found := re.fullmatch(r'project="([^"]*)"', condition):
        return issue.fields["project"]["key"] == found[1]
    found = re.fullmatch(r'labels="([^"]*)"', condition)
    _invalid(found, f"JQL {condition!r}")
    assert found is not None
    return found[1] in issue.fields["labels"]


def _check_fields(body: dict[str, Any], version: str, *, new: bool) -> None:
    _invalid(list(body) == ["fields"], "unknown keys")
    fields = body["fields"]
    unknown = set(fields) - _STANDARD - _CUSTOM
    _invalid(not unknown, f"Field {unknown} cannot be set. It is not on the appropriate screen")
    if new:
        for key in ("project", "issuetype", "summary"):
            _invalid(fields.get(key), f"{key} is required")
    _invalid(fields.get("project", {"key": "OPS"}) == {"key": "OPS"}, "valid project is required")
    _invalid(fields.get("issuetype", {"name": "Bug"}) == {"name": "Bug"}, "issue type is required")
    summary = fields.get("summary", "")
    fine = isinstance(summary, str) and len(summary) <= 255 and "\n" not in summary
    _invalid(fine, "summary is invalid")
    _invalid(all(" " not in label for label in fields.get("labels", ())), "labels have spaces")
    names = ("High", "Medium", "Low")
    _invalid(fields.get("priority", {"name": "Low"})["name"] in names, "priority is invalid")
    if "description" in fields:
        text = fields["description"]
        document = isinstance(text, dict) and (text.get("type"), text.get("version")) == ("doc", 1)
        fine = document if version == "3" else isinstance(text, str) and len(text) <= 32767
        _invalid(fine, "Operation value must be an Atlassian Document / a string")


def _invalid(fine: object, error: str) -> None:
    check(fine, 400, {"errorMessages": [error], "errors": {}})
