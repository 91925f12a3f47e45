"""OpenAPI document of the JSON API: when a model of parameters, bodies or responses changes, the document does too."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final, TypeAlias

import attrs
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from asyncz._metadata import __version__
from asyncz.dashboard.states import Problem

Json: TypeAlias = dict[str, object]

_REFERENCE: Final = "#/components/schemas/{model}"
_REJECTED: Final = {
    "400": "A parameter is wrong, or the name of the host is not allowed",
    "403": "The user has no right for this, or a page of another site has sent the request",
    "404": "There is no such task or run",
    "408": "The body has not arrived in time",
    "409": "The scheduler is not running",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "422": "The body has wrong values",
    "503": "The store cannot be reached",
}
_NAMES: Final = TypeAdapter(list[str])
_CHOICES: Final = TypeAdapter(list[Json])
_PROPERTIES: Final = TypeAdapter(dict[str, Json])
_READING: Final = ("400", "403", "404", "409", "503")


@attrs.frozen
class Described:
    """Description of an operation.

    Attributes:
        path: Path below the place at which the dashboard is mounted.
        summary: Description.
        query: Model of the parameters.
        body: Model of the body; None without one.
        response: Model of the response.
    """

    path: str
    summary: str
    query: type[BaseModel]
    body: type[BaseModel] | None
    response: type[BaseModel]


# The models are the same for all dashboards, and their schemas take longer than the rest of a dashboard.
@functools.cache
def document(operations: tuple[tuple[str, Described], ...]) -> Json:
    """Return the OpenAPI document for operations, each with its method. Dashboards share it: do not change it."""
    bodies = [each.body for _, each in operations if each.body is not None]
    responses = {each.response for _, each in operations} | {Problem}
    _, definitions = models_json_schema(
        [
            *((model, "validation") for model in bodies),
            *((model, "serialization") for model in sorted(responses, key=lambda model: model.__name__)),
        ],
        ref_template=_REFERENCE,
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "asyncz dashboard", "version": __version__},
        "servers": [{"url": ".."}],
        "paths": {each.path: {method.lower(): _operation(each)} for method, each in operations},
        "components": {"schemas": definitions.get("$defs", {})},
    }


def _operation(described: Described) -> Json:
    rejections = _READING if described.body is None else tuple(_REJECTED)
    found: Json = {
        "operationId": described.path.removeprefix("/api/").replace("-", "_"),
        "summary": described.summary,
        "parameters": list(_parameters(described.query)),
        "responses": {
            "200": {"description": "Success", "content": _json_content(described.response)},
            **{status: {"description": _REJECTED[status], "content": _json_content(Problem)} for status in rejections},
        },
    }
    if described.body is not None:
        found["requestBody"] = {"required": True, "content": _json_content(described.body)}
    return found


def _json_content(model: type[BaseModel]) -> Json:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


def _parameters(query: type[BaseModel]) -> Iterable[Json]:
    schema = query.model_json_schema()
    required = _NAMES.validate_python(schema.get("required", []))
    for name, each in _PROPERTIES.validate_python(schema.get("properties", {})).items():
        yield {"name": name, "in": "query", "required": name in required, "schema": _without_null(each)}


def _without_null(schema: Json) -> Json:
    """Return the schema of a parameter that may be left out, which the model gives as None."""
    choices = schema.get("anyOf")
    if choices is None:
        return schema
    first = next(each for each in _CHOICES.validate_python(choices) if each != {"type": "null"})
    return {**{name: value for name, value in schema.items() if name not in {"anyOf", "default"}}, **first}
