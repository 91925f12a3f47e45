"""Metrics in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from asyncz._text import encodable

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values of labels."""

Sample: TypeAlias = tuple[str, Labels, float]
"""Suffix of the name, labels and value."""

Family: TypeAlias = tuple[str, str, str, Iterable[Sample]]
"""Name, kind, description and samples of one metric."""


def text_of(families: Iterable[Family]) -> str:
    """Return metrics as text."""
    lines: list[str] = []
    for name, kind, description, samples in families:
        lines += [f"# HELP {name} {description}.", f"# TYPE {name} {kind}"]
        lines += [f"{name}{suffix}{labels_text(labels)} {value:.17g}" for suffix, labels, value in samples]
    return "\n".join(lines) + "\n"


def labels_text(labels: Labels) -> str:
    """Return labels as text, with values of users escaped."""
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    """Return the value of a label, which may be a text of users: a different one for each text.

    Two texts with the same value would be one series twice, and Prometheus would reject all metrics. So the value is
    not shortened, and has the escape sequences of the format only.
    """
    return encodable(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
