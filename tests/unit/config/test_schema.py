"""JSON schema of the configuration."""

from __future__ import annotations

import json
import re
import tomllib

import jsonschema_rs
import pytest

from asyncz import SchedulerConfig
from tests.helpers.paths import EXAMPLES
from tests.unit.config.mistakes import WRONG, Wrong


def as_json(value: object) -> object:
    """A value of TOML as JSON has it."""
    # It has no infinity either.
    text = re.sub("NaN|Infinity", "1", json.dumps(value, default=lambda time: time.isoformat()))
    return json.loads(text)


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(SchedulerConfig.model_json_schema())


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.key}-{wrong.explanation}"[:60])
def test_schema_rejects_known_mistakes(validator: jsonschema_rs.Validator, wrong: Wrong) -> None:
    assert validator.is_valid(as_json(tomllib.loads(wrong.text))) != wrong.known_to_schema


def test_schema_accepts_example_and_describes_keys() -> None:
    schema = SchedulerConfig.model_json_schema()
    example = tomllib.loads((EXAMPLES / "asyncz.toml").read_text())
    jsonschema_rs.validate(schema, as_json(example))
    models = [schema, *schema["$defs"].values()]
    silent = [
        f"{model['title']}.{name}"
        for model in models
        for name, field in model["properties"].items()
        if name != "type" and "description" not in field
    ]
    assert silent == []
    assert all("description" in model for model in models)
