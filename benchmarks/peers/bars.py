"""A bar chart with a logarithmic scale, as SVG: groups of bars, each with its value beside it."""

import html
import math
from collections.abc import Mapping

WIDTH, LEFT, RIGHT = 920, 210, 90
BAR, GAP, GROUP_GAP, TOP, BOTTOM = 16, 4, 34, 56, 34
INK, QUIET, GRID = "#1f2328", "#59636e", "#d1d9e0"
OURS, OTHERS = "#1a7f37", "#8c959f"


def decades(values: list[float]) -> tuple[int, int]:
    """The powers of ten that hold all values: least and most, of which there are at least one between."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def bar_chart(title: str, groups: Mapping[str, Mapping[str, float]], unit: str, ours: frozenset[str]) -> str:
    """`groups`: heading → name → value (above 0). Bars of names in `ours` stand out. Raises ValueError without one."""
    values = [value for bars in groups.values() for value in bars.values()]
    if not values or min(values) <= 0:
        raise ValueError("a logarithmic chart needs values above 0")
    low, high = decades(values)
    scale = (WIDTH - LEFT - RIGHT) / (high - low)

    def x(value: float) -> float:
        return LEFT + (math.log10(value) - low) * scale

    body, y = [], TOP
    for heading, bars in groups.items():
        body.append(f'<text x="16" y="{y + 14}" font-weight="600" fill="{INK}">{html.escape(heading)}</text>')
        y += 24
        for name, value in bars.items():
            colour = OURS if name in ours else OTHERS
            label = html.escape(name)
            body += [
                f'<text x="{LEFT - 10}" y="{y + 12}" text-anchor="end" fill="{INK}">{label}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{max(x(value) - LEFT, 1):.1f}" height="{BAR}" rx="2" fill="{colour}">'
                f"<title>{label}: {value:g} {html.escape(unit)}</title></rect>",
                f'<text x="{x(value) + 6:.1f}" y="{y + 12}" fill="{INK}">{value:.3g} {html.escape(unit)}</text>',
            ]
            y += BAR + GAP
        y += GROUP_GAP - 24
    bottom = y
    grid = []
    for power in range(low, high + 1):
        at = LEFT + (power - low) * scale
        grid += [
            f'<line x1="{at:.1f}" y1="{TOP - 8}" x2="{at:.1f}" y2="{bottom}" stroke="{GRID}"/>',
            f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle" fill="{QUIET}">{10.0**power:g}</text>',
        ]
    height = bottom + BOTTOM
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{html.escape(title)}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="600" fill="{INK}">{html.escape(title)}</text>',
        *grid, *body, "</svg>", "",
    ])  # fmt: skip
