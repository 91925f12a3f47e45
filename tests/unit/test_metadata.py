"""Name and version of the distribution."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Never

import pytest

import asyncz
from asyncz import MissingExtraError, _metadata

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture(autouse=True)
def fresh_name() -> None:
    _metadata.distribution_name.cache_clear()


@pytest.mark.parametrize(
    ("distributions", "name"),
    [
        ([], "asyncz-typed"),
        (["asyncz-typed"], "asyncz-typed"),
        (["fork"], "fork"),
        (["a", "asyncz-typed"], "asyncz-typed"),
    ],
)
def test_hint_names_installed_distribution(
    distributions: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name not in distributions:
            raise PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(_metadata, "version", version)
    monkeypatch.setattr(_metadata, "packages_distributions", lambda: {"asyncz": distributions})
    error = MissingExtraError("CronTrigger", "cronsim", "cron")
    assert str(error).endswith(f"pip install '{name}[cron]'")
    _metadata.distribution_name.cache_clear()


@pytest.mark.slow
def test_version_without_distribution_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Never:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_metadata, "version", fail)
    assert _metadata._installed_version() == "0.0+unknown"


def test_version_is_found_without_reading_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not read the metadata of all distributions, which takes a third of the start of the command line."""
    monkeypatch.setattr(_metadata, "version", {"asyncz-typed": "1.2"}.__getitem__)
    monkeypatch.setattr(_metadata, "packages_distributions", None)
    assert _metadata._installed_version() == "1.2"


def test_package_has_version() -> None:
    assert asyncz.__version__ == _metadata.__version__
    assert asyncz.__version__[0].isdigit()


def test_extras_name_the_distribution() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    assert project["name"] == _metadata._DEFAULT_NAME
    own = [each for extra in project["optional-dependencies"].values() for each in extra if each.startswith("asyncz")]
    assert own
    assert all(each.startswith("asyncz-typed[") for each in own)
