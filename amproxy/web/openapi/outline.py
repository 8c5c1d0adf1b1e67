"""A document in the order in which people read it. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple


class Listed(NamedTuple):
    """One operation of a document."""

    method: str
    path: str
    body: dict[str, Any] | None  # schemas; None = nothing
    answers: list[tuple[str, str, dict[str, Any] | None]]  # status, media type ("" = nothing), schema
    errors: list[str]  # statuses
    said: dict[str, Any]  # all the rest, as the document has it


def outline(document: dict[str, Any]) -> dict[str, list[Listed]]:
    """Tag → its operations, both in the order of the document."""
    groups: dict[str, list[Listed]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            groups[said["tags"][0]].append(_listed(method.upper(), path, said))
    return groups


def _listed(method: str, path: str, said: dict[str, Any]) -> Listed:
    answers: list[tuple[str, str, dict[str, Any] | None]] = []
    for status, answer in said["responses"].items():
        if status.startswith("2"):
            answers += [(status, media, held["schema"]) for media, held in answer.get("content", {"": {"schema": None}}).items()]
    body = next((held["schema"] for held in said.get("requestBody", {}).get("content", {}).values()), None)
    return Listed(method, path, body, answers, [status for status in said["responses"] if not status.startswith("2")], said)
