"""Name and version of the installed distribution. Its name differs from that of the package."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, packages_distributions, version

_DEFAULT_NAME = "asyncz-typed"


@functools.cache
def distribution_name() -> str:
    """Return the name of the distribution that provides the package; the usual one for a checkout."""
    try:
        version(_DEFAULT_NAME)
    except PackageNotFoundError:
        # A user's own distribution that contains a copy of the package. To find it, all metadata are read.
        return next(iter(packages_distributions().get("asyncz", [])), _DEFAULT_NAME)
    return _DEFAULT_NAME


def install_command(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '{distribution_name()}[{extra}]'"


def _installed_version() -> str:
    try:
        return version(distribution_name())
    except PackageNotFoundError:
        return "0.0+unknown"


__version__: str = _installed_version()
"""Version of the installed distribution; `0.0+unknown` for a checkout that is not installed."""
