"""Plots of a month as SVG: one line or two over the hours, with axes. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from html import escape

from agent import times
from agent.monitor.markup import Markup

HOUR = 3600.0
PERIOD = 30 * 24 * HOUR  # what a plot shows, in seconds
GAP = 2.5 * HOUR  # without a value for longer, a line is interrupted
# Units of the drawing, and where the axes are in it
WIDTH, HEIGHT = 360, 110
LEFT, RIGHT, TOP, BOTTOM = 44, 352, 8, 86
DAY = "%m-%d"

Point = tuple[float, float]  # seconds since 1970, value


@dataclass(frozen=True)
class Line:
    """Values by time, the oldest first; `kind` is the class that its colour is of."""

    kind: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Plot:
    """What is drawn of the PERIOD before `end`. `title` says it in words, `top` is the greatest value of the axis and
    `unit` follows its numbers."""

    title: str
    lines: Sequence[Line]
    end: float
    top: float
    unit: str = ""


def round_top(value: float) -> float:
    """The least of 2, 5, 10, 20, 50, … that is not below a value: where an axis ends."""
    if value <= 2:
        return 2
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def draw(plot: Plot, zone: tzinfo) -> Markup:
    """The drawing, which scales with its place on the page."""
    return Markup(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" focusable="false">'
        f"<title>{escape(plot.title)}</title>{''.join(_axes(plot, zone))}{''.join(_lines(plot))}</svg>"
    )


def _axes(plot: Plot, zone: tzinfo) -> Iterator[str]:
    for share in (0, 0.5, 1):
        y = BOTTOM - share * (BOTTOM - TOP)
        yield f'<path class="axis" d="M{LEFT} {y:.0f}H{RIGHT}"/>'
        text = f"{share * plot.top:,g}{plot.unit}"
        yield f'<text x="{LEFT - 4}" y="{y + 4:.0f}" text-anchor="end">{escape(text)}</text>'
    for days, anchor in ((30, "start"), (20, "middle"), (10, "middle"), (0, "end")):
        at = plot.end - days * 24 * HOUR
        x = _x(plot, at)
        yield f'<path class="axis" d="M{x:.0f} {BOTTOM}v4"/>'
        yield f'<text x="{x:.0f}" y="{BOTTOM + 17}" text-anchor="{anchor}">{times.show(at, zone, DAY)}</text>'


def _x(plot: Plot, at: float) -> float:
    return RIGHT - (plot.end - at) / PERIOD * (RIGHT - LEFT)


def _lines(plot: Plot) -> Iterator[str]:
    for line in plot.lines:
        steps: list[str] = []
        before = -math.inf
        for at, value in line.points:
            if not plot.end - PERIOD <= at <= plot.end:
                continue
            y = BOTTOM - min(max(value / plot.top, 0), 1) * (BOTTOM - TOP)
            is_new = at - before > GAP
            # A line of no length is a dot, where its ends are round
            steps.append(f"{'M' if is_new else 'L'}{_x(plot, at):.1f} {y:.1f}{'h0' if is_new else ''}")
            before = at
        if steps:
            yield f'<path class="line {line.kind}" d="{"".join(steps)}"/>'
