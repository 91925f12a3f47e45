"""Line numbers of the keys of a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings, strategies as st

from asyncz.config._toml_positions import Path as TomlPath, find_positions
from tests.helpers.effort import examples


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    """TOML in many styles, of which each key and each number is there only once."""
    numbers = iter(range(100, 1_000_000))
    lines: list[str] = []

    def key() -> str:
        name = f"k{next(numbers)}"
        return draw(st.sampled_from([name, f'"{name}"', f"'{name}'", f'"{name} [x] = #"']))

    def keys() -> str:
        return draw(st.sampled_from([".", " . "])).join(key() for _ in range(draw(st.integers(1, 3))))

    def value(depth: int) -> str:
        kind = draw(st.integers(0, 9 if depth else 6))
        number = next(numbers)
        gap = draw(st.sampled_from(["", " ", "\n", "  # ] } , =\n", "\n\n"]))
        match kind:
            case 0:
                return f'"""{number}\n"" \\""" ] = """'
            case 1:
                return f"'''{number}\n# '' [ ''''"
            case 2:
                return f'"{number} \\" # = ["'
            case 3:
                return f"'{number} # = ['"
            case 4:
                return f"{number}.5e3"
            case 5:
                return "2030-01-01 00:00:00Z"
            case 6:
                return "true"
            case 7:
                inner = ", ".join(f"{key()} = {inline(depth - 1)}" for _ in range(draw(st.integers(0, 2))))
                return f"{{ {inner} }}"
            case _:
                items = [f"{gap}{value(depth - 1)}{gap}" for _ in range(draw(st.integers(0, 3)))]
                last = "," if draw(st.booleans()) and items else ""
                return f"[{','.join(items)}{last}{gap}]"

    def inline(depth: int) -> str:
        return value(depth).replace("\n", " ") if depth == 0 else str(next(numbers))

    def pairs() -> None:
        for _ in range(draw(st.integers(0, 3))):
            lines.append(f"{draw(st.sampled_from(['', '  ']))}{keys()}={value(2)} # = [k]")
            lines.extend([""] * draw(st.integers(0, 1)))

    pairs()
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            lines.append(f"[ {keys()} ]  # [x]")
            pairs()
        else:
            name = keys()
            for _ in range(draw(st.integers(1, 3))):
                lines.append(f"[[{name}]]")
                pairs()
                if draw(st.booleans()):
                    lines.append(f"[{name}.{key()}]")
                    pairs()
    separator = draw(st.sampled_from(["\n", "\r\n"]))
    return separator.join(lines)


def paths_of(value: object, path: TomlPath = ()) -> Iterator[TomlPath]:
    parts: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        parts = [*value.items()]
    elif isinstance(value, list):
        parts = [*enumerate(value)]
    for part, each in parts:
        yield (*path, part)
        yield from paths_of(each, (*path, part))


@pytest.mark.slow
@given(toml_texts())
@settings(max_examples=examples(60), deadline=None)
def test_toml_lines_found_for_every_key(text: str) -> None:
    found = find_positions(text)
    assert set(found) == set(paths_of(tomllib.loads(text)))
    lines = text.splitlines()
    for path, line in found.items():
        if isinstance(path[-1], str):
            name = path[-1].partition(" ")[0]
            assert line == next(number for number, content in enumerate(lines, 1) if name in content)
        else:
            assert line >= found[(*path[:-1], path[-1] - 1)] if path[-1] else line >= found[path[:-1]]
