"""JSON schemas of types, by the names that programs know. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

Schema = dict[str, Any]  # of JSON Schema

STRING: Final[Schema] = {"type": "string"}
SCHEMA_REFS: Final = "#/components/schemas/"


class Schemas:
    """The schemas of types, which refer to components by the names that programs know."""

    def __init__(self, types: Iterable[Any]) -> None:
        # each once, in order, so that every process serves the same bytes
        kinds = list(dict.fromkeys(types))
        shown, components = msgspec.json.schema_components(
            kinds, ref_template=f"{SCHEMA_REFS}{{name}}"
        )
        self._shown: dict[Any, Schema] = dict(
            zip(kinds, map(_with_public_names, shown), strict=True)
        )
        queries = {name for name in components if name.endswith("Parameters")}
        self._queries = {name: _with_public_names(components[name]) for name in queries}
        self.components: dict[str, Schema] = {}
        for name, schema in components.items():
            public = _public_name(name)
            if public in self.components:
                raise ValueError(f"two types would have the schema {public}")
            if name not in queries:
                self.components[public] = _with_public_names(schema)

    def of(self, kind: Any) -> Schema:
        return self._shown[kind]

    def parameters(self, kind: type[msgspec.Struct]) -> Iterator[Schema]:
        """The parameters of a query, which are no component."""
        struct = self._queries[kind.__name__]
        for name, schema in struct["properties"].items():
            shown = {key: value for key, value in schema.items() if key != "description"}
            if not shown.get("default"):  # "not given", which is none of its values
                shown.pop("default", None)
            repeated = " May be repeated." if shown.get("type") == "array" else ""
            yield {
                "name": name,
                "in": "query",
                "description": schema["description"] + repeated,
                "required": name in struct.get("required", ()),
                "schema": shown,
            }


def _public_name(name: str) -> str:
    """ "IncidentView" → "Incident"; of a generic struct without the types that it holds."""
    return name.partition("_")[0].removesuffix("View")


def _with_public_names(value: Any) -> Any:
    """A schema with the public names in its references and titles."""
    if isinstance(value, list):
        return [_with_public_names(one) for one in value]
    if not isinstance(value, dict):
        return value
    renamed = {key: _with_public_names(one) for key, one in value.items()}
    if isinstance(reference := value.get("$ref"), str):
        renamed["$ref"] = SCHEMA_REFS + _public_name(reference.removeprefix(SCHEMA_REFS))
    if isinstance(title := value.get("title"), str):
        renamed["title"] = _public_name(title.partition("[")[0])
    return renamed
