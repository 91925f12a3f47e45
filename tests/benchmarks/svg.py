"""Chart and table of the cost of a run beside peers, for the README."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Iterator

from tests.benchmarks.results import APSCHEDULER, Results

KINDS = {
    "coroutine": "coroutine",
    "threads": "thread pool",
    "processes": "process pool",
    "inline": "on the loop",
    "add": "add_task",
}
"""Labels of the kinds of measurement, in the order of the rows."""

CONTENDERS = {"asyncz": "asyncz", APSCHEDULER: APSCHEDULER, "bare": "without a scheduler"}

_WIDTH, _LEFT, _RIGHT, _TOP = 760, 120, 170, 86
_BAR, _GAP = 15, 14
_TITLE = "Microseconds per run, beside the function itself"
_SUBTITLE = "From due to notified; add_task: per added task. Shorter is faster; each group has its own scale."
# Legible on a light and on a dark page: an image does not always know the theme of the page around it.
_STYLE = """\
  <style>
    text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
    .title { font-weight: 600; font-size: 15px }
    .asyncz { fill: #0b7a75 }
    .peer { fill: #c8553d }
    .bare { fill: #8c959f }
    .page { fill: #ffffff }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .asyncz { fill: #2ec4b6 }
      .peer { fill: #f08a6c }
      .bare { fill: #8b949e }
      .page { fill: #0d1117 }
    }
  </style>"""
_CLASSES = {"asyncz": "asyncz", APSCHEDULER: "peer", "bare": "bare"}


def svg_chart(results: Results) -> str:
    """Return an SVG image of the microseconds per run: a group of bars for each kind that was measured."""
    rows = [(label, results[kind, "cost"]) for kind, label in KINDS.items() if (kind, "cost") in results]
    lines, bottom = list[str](), float(_TOP)
    for label, figures in rows:
        shown = [who for who in CONTENDERS if who in figures]
        # A scale for each group: a run in a process pool takes many times as long as one on the loop.
        scale = (_WIDTH - _LEFT - _RIGHT) / max(figures[who] for who in shown)
        lines.append(_text(_LEFT - 10, bottom + len(shown) * _BAR / 2 + 4.5, label, "end"))
        for who in shown:
            lines.extend(_bar(who, figures[who], figures["asyncz"], bottom, scale))
            bottom += _BAR
        bottom += _GAP
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom:g}" role="img">',
            f"  <title>{_TITLE}</title>",
            _STYLE,
            f'  <rect class="page" width="{_WIDTH}" height="{bottom:g}" rx="6"/>',
            f'  <text class="title" x="16" y="26">{_TITLE}</text>',
            f'  <text x="16" y="46">{_SUBTITLE}</text>',
            *_legend(),
            *lines,
            "</svg>\n",
        )
    )


def ratio_table(results: Results) -> str:
    """Return a Markdown table of the figures of the contenders divided by those of asyncz."""
    lines = [
        f"| run by | {CONTENDERS[APSCHEDULER]} / asyncz | asyncz / {CONTENDERS['bare']} |",
        "| --- | ---: | ---: |",
    ]
    for kind, label in KINDS.items():
        figures = results.get((kind, "cost"))
        if figures is not None:
            peer = f"{figures[APSCHEDULER] / figures['asyncz']:.1f}" if APSCHEDULER in figures else ""
            bare = f"{figures['asyncz'] / figures['bare']:.1f}" if "bare" in figures else ""
            lines.append(f"| {f'`{label}`' if label == 'add_task' else label} | {peer} | {bare} |")
    return "\n".join(lines)


def speed_claim(results: Results) -> str:
    """Return the sentence about speed at the beginning of the README."""
    kinds = {kind: results[kind, "cost"] for kind in ("coroutine", "threads", "processes")}
    less = [_times(figures[APSCHEDULER] / figures["asyncz"]) for figures in kinds.values()]
    return (
        f"A run takes about {kinds['coroutine']['asyncz']:.0f} µs beside your function: {less[0]} times less than in"
        f" APScheduler 3 on the loop, {less[1]} times less in threads, and {less[2]} times less in processes;"
    )


def with_results(readme: str, results: Results) -> str:
    """Return the text of the README with the sentence and the table of these results."""
    before, head, rest = readme.partition("](tests/benchmarks/speed.svg)\n\n")
    after = rest.partition("\n\n")[2]
    text = f"{before}{head}{ratio_table(results)}\n\n{after}"
    claim = f"- **It is fast.** {speed_claim(results)} see [Speed](#speed)."
    start = text.index("- **It is fast.**")
    end = text.index("\n- **", start)
    return text[:start] + textwrap.fill(claim, 124, subsequent_indent="  ") + text[end:]


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{math.floor(ratio)}"


def _bar(who: str, figure: float, ours: float, top: float, scale: float) -> Iterator[str]:
    ratio = "" if who == "asyncz" else f", {figure / ours:.1f} x asyncz"
    width = figure * scale
    yield (
        f'  <rect class="{_CLASSES[who]}" x="{_LEFT}" y="{top + 1:g}" width="{width:.1f}" height="{_BAR - 2}" rx="2"/>'
    )
    yield _text(_LEFT + width + 6, top + _BAR - 3.5, f"{figure:.0f} µs{ratio}")


def _legend() -> Iterator[str]:
    x = 16.0
    for who, label in CONTENDERS.items():
        yield f'  <rect class="{_CLASSES[who]}" x="{x:g}" y="58" width="12" height="12" rx="2"/>'
        yield _text(x + 18, 68.5, label)
        x += 40 + 7.2 * len(label)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'  <text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
