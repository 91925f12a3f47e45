"""Name and version of the installed distribution, whose name differs from that of the package."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, packages_distributions, version

_DEFAULT_NAME = "asyncz-typed"


@functools.cache
def distribution_name() -> str:
    """Return the name of the distribution that provides the package; the usual one for a checkout."""
    # Another distribution may come first: a user's own one that contains a copy of the package.
    found = packages_distributions().get("asyncz", [])
    return _DEFAULT_NAME if _DEFAULT_NAME in found or not found else found[0]


def install_command(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '{distribution_name()}[{extra}]'"


def _installed_version() -> str:
    for name in (_DEFAULT_NAME, distribution_name()):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "0.0+unknown"


__version__: str = _installed_version()
"""Version of the installed distribution; `0.0+unknown` for a checkout that is not installed."""
