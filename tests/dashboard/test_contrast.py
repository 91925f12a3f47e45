"""Contrast of colours, by the formula of WCAG 2."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = (files("asyncz.dashboard") / "static" / "dashboard.css").read_text()


def theme(number: int) -> dict[str, str]:
    """Return the colours of the light (0) or dark (1) theme."""
    block = re.findall(r":root \{([^}]*)\}", CSS)[number]
    return dict(re.findall(r"--([\w-]+): #([0-9a-f]{3,6});", block))


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(2 * each for each in colour)
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", ["good", "bad", "warn", "busy"])
def test_text_of_badge_has_contrast(number: int, name: str) -> None:
    colours = theme(number)
    assert contrast(colours[name], colours[f"{name}-soft"]) >= 4.5
    assert contrast(colours[name], colours["surface"]) >= 4.5


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", ["page", "surface", "raised"])
def test_border_of_control_has_contrast(number: int, name: str) -> None:
    colours = theme(number)
    assert "border: 1px solid var(--control)" in CSS
    assert contrast(colours["control"], colours[name]) >= 3
