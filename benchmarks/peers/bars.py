"""A bar chart with a logarithmic scale, as SVG: groups of bars, each with its value beside it."""

import html
import math
from collections.abc import Mapping

WIDTH, LEFT, RIGHT = 760, 150, 90
BAR, GAP, GROUP_GAP, TOP, BOTTOM = 16, 4, 34, 56, 34
STYLE = """
    svg { font: 13px system-ui, "Noto Sans", "Noto Sans CJK JP", "Hiragino Sans", sans-serif }
    .page { fill: #ffffff } .ours { fill: #2f7d46 } .other { fill: #8c959f }
    text { fill: #1b1f24 } .name { font-weight: 600 } .scale { fill: #57606a } .line { stroke: #d1d9e0 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .ours { fill: #5fbf7c } .other { fill: #6e7681 }
      text { fill: #e6edf3 } .scale { fill: #9aa4af } .line { stroke: #30363d }
    }
  """


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
        body.append(f'<text class="name" x="20" y="{y + 14}">{html.escape(heading)}</text>')
        y += 24
        for name, value in bars.items():
            label = html.escape(name)
            kind = "ours" if name in ours else "other"
            long = max(x(value) - LEFT, 1)
            body += [
                f'<text x="{LEFT - 10}" y="{y + 12}" text-anchor="end">{label}</text>',
                f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{long:.1f}" height="{BAR}" rx="2"/>',
                f'<text x="{LEFT + long + 6:.1f}" y="{y + 12}">{value:.3g} {html.escape(unit)}</text>',
            ]
            y += BAR + GAP
        y += GROUP_GAP - 24
    scale_lines = []
    for power in range(low, high + 1):
        at = LEFT + (power - low) * scale
        scale_lines += [
            f'<line class="line" x1="{at:.1f}" y1="{TOP - 8}" x2="{at:.1f}" y2="{y}"/>',
            f'<text class="scale" x="{at:.1f}" y="{y + 16}" text-anchor="middle">{10.0**power:g}</text>',
        ]
    height = y + BOTTOM
    words = html.escape(title)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
        f'<title id="title">{words}</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<text class="name" x="20" y="28">{words}</text>',
        *scale_lines,
        *body,
    ]
    return "\n  ".join(parts) + "\n</svg>\n"
