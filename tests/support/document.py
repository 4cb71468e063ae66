"""Requests made from the published document: every operation with one value wherever it takes one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_DEEP = 6


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method as published."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def body_schema(self) -> dict[str, Any] | None:
        """The schema of its JSON body, None when it takes none."""
        content = self.described.get("requestBody", {}).get("content", {})
        return content["application/json"]["schema"] if content else None

    def filled(self, value: str) -> str:
        """Its path with ``value`` in every place."""
        path = self.path
        for parameter in self._parameters("path"):
            path = path.replace("{" + parameter + "}", value)
        return path

    def query(self, value: str) -> dict[str, str]:
        """``value`` for every query parameter."""
        return dict.fromkeys(self._parameters("query"), value)

    def _parameters(self, place: str) -> list[str]:
        return [p["name"] for p in self.described.get("parameters", ()) if p["in"] == place]


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Every operation of an OpenAPI document."""
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            if method in _METHODS:
                yield Operation(method.upper(), path, described)


def example(document: dict[str, Any], schema: dict[str, Any], text: str, deep: int = 0) -> Any:
    """A value of the schema with every member, and with ``text`` wherever text may stand."""
    schema = _resolved(document, schema)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object" and deep < _DEEP:
        properties = schema.get("properties", {})
        return {
            name: example(document, inner, text, deep + 1) for name, inner in properties.items()
        }
    if kind == "array" and deep < _DEEP:
        inner = schema.get("items", {})
        return [example(document, inner, text, deep + 1)] * max(schema.get("minItems", 1), 1)
    simple = {
        "integer": 1,
        "number": 1.5,
        "boolean": False,
        "object": {},
        "array": [],
        "null": None,
    }
    return simple.get(kind, text) if isinstance(kind, str) else text


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema behind references; of alternatives the first that is a structure, else the first."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            structures = [c for c in choices if "$ref" in c or c.get("type") in {"object", "array"}]
            schema = (structures or choices)[0]
        else:
            return schema
