"""Plots of benchmarks as SVG, without a library: what the results' pages show. Pure."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 40, 48
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#475569")
# Lines of the grid in each direction
LINES = 5


def line_chart(
    series: Mapping[str, Sequence[tuple[float, float]]], title: str = "", across: str = "", up: str = ""
) -> str:
    """An SVG document with a line for each of `series` (its name → points), both axes from 0: `across` and `up` name
    them with their units."""
    points = [point for line in series.values() for point in line]
    right, highest = (round_up(max((point[axis] for point in points), default=0)) for axis in (0, 1))
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return round(LEFT + width * x / right, 1), round(TOP + height * (1 - y / highest), 1)

    parts = [_text(LEFT, 20, title, "bold"), _text(LEFT + width / 2, HEIGHT - 8, across, anchor="middle")]
    parts += [_text(8, TOP - 8, up)]
    for number in range(LINES + 1):
        x, y = place(right * number / LINES, highest * number / LINES)
        parts.append(f'<path d="M{LEFT} {y}H{LEFT + width}" stroke="#cbd5e1"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{highest * number / LINES:g}", anchor="end"))
        parts.append(_text(x, TOP + height + 18, f"{right * number / LINES:g}", anchor="middle"))
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(*point) for point in line]
        path = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
        x, y = LEFT + width + 12, TOP + 8 + 20 * number
        parts += [f'<rect x="{x}" y="{y - 8}" width="10" height="10" fill="{colour}"/>', _text(x + 16, y + 1, name)]
    style = 'font-family="sans-serif" font-size="12" fill="#1e293b"'
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    body = "\n".join([ground, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {style}>\n{body}\n</svg>\n'


def round_up(value: float) -> float:
    """The least of 1, 2, 2.5, 5 or 10 times a power of ten that is not below a value; 1 for nothing."""
    power = 1.0
    while power < value:
        power *= 10
    while power / 10 >= value > 0:
        power /= 10
    steps = [power * part for part in (0.1, 0.2, 0.25, 0.5, 1.0)]
    return next(step for step in steps if step >= value) if value > 0 else 1.0


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start") -> str:
    where = f'x="{round(x, 1)}" y="{round(y, 1)}"'
    return f'<text {where} text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
