"""Constructors, TypedDicts and models of executors have the same options."""

from __future__ import annotations

import inspect
import typing

import pytest

from asyncz import DaskExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from asyncz.config import (
    DaskClusterKwargs,
    DaskClusterKwargsConfig,
    DaskExecutorConfig,
    DaskOptions,
    PoolKwargs,
    PoolOptions,
    ProcessPoolExecutorConfig,
    ProcessPoolKwargs,
    ProcessPoolKwargsConfig,
    ThreadPoolExecutorConfig,
    ThreadPoolKwargs,
    ThreadPoolKwargsConfig,
)


@pytest.mark.parametrize(
    ("executor", "options", "model"),
    [
        (ThreadPoolExecutor, PoolOptions, ThreadPoolExecutorConfig),
        (ProcessPoolExecutor, PoolOptions, ProcessPoolExecutorConfig),
        (DaskExecutor, DaskOptions, DaskExecutorConfig),
    ],
)
def test_executor_options_agree(
    executor: type[object], options: type[object], model: type[ThreadPoolExecutorConfig]
) -> None:
    parameters = set(inspect.signature(executor).parameters) - {"client"}
    assert set(typing.get_type_hints(options)) == parameters - {"security"}
    assert set(model.model_fields) - {"type"} == parameters


@pytest.mark.parametrize(
    ("kwargs", "model"),
    [
        (ThreadPoolKwargs, ThreadPoolKwargsConfig),
        (ProcessPoolKwargs, ProcessPoolKwargsConfig),
        (DaskClusterKwargs, DaskClusterKwargsConfig),
    ],
)
def test_nested_options_agree(kwargs: type[object], model: type[ThreadPoolKwargsConfig]) -> None:
    assert set(typing.get_type_hints(kwargs)) == set(model.model_fields)
    assert all(field.description for field in model.model_fields.values())


def test_pool_kwargs_are_those_of_both_pools() -> None:
    both = {**typing.get_type_hints(ThreadPoolKwargs), **typing.get_type_hints(ProcessPoolKwargs)}
    assert set(typing.get_type_hints(PoolKwargs)) == set(both)


def test_typed_dicts_are_accepted_by_pydantic() -> None:
    """`typing.TypedDict` is rejected by pydantic before Python 3.12."""
    from pydantic import TypeAdapter

    assert TypeAdapter(DaskOptions).validate_python({"retries": 3}) == {"retries": 3}
