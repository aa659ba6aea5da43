"""A recorded terminal session: what came when, as an asciicast for players and as a moving picture for pages."""

import html
import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

COLUMNS, ROWS = 118, 26
PAUSE = 1.5  # seconds that a recording waits at most, as players do by their idle limit
LAST = 6.0  # seconds that the last picture stays
ADVANCE, LINE, MARGIN = 8.4, 18, 14  # of a picture: width of a character, height of a line, around the text
# Pulumi's line of a resource under way, which a terminal shows in the place of the one before
UNDER_WAY = re.compile(r"^ [~+-]{1,2} +(\S+ \S+) (?:updating|creating|deleting|updated|created|deleted)")
BAD = re.compile(r"rolled back|refused|failed|error:|still unhealthy|\b[45]\d\d\b.*answered", re.IGNORECASE)
GOOD = re.compile(r"applied on|✓|healthy|\b0 (?:of them|failed)|serves in")


@dataclass(frozen=True)
class Event:
    """One line of the session: `at` seconds after its beginning."""

    at: float
    text: str


@dataclass(frozen=True)
class Row:
    """A line of the picture, and from when to when it is there (`until` None: to the end); `whole` is the line of the
    session that it is of."""

    number: int
    text: str
    since: float
    until: float | None = None
    whole: str = ""


def without_pauses(events: Sequence[Event], longest: float = PAUSE) -> list[Event]:
    """The same lines, none later than `longest` seconds after the one before."""
    shortened: list[Event] = []
    before = clock = 0.0
    for event in events:
        clock += min(max(event.at - before, 0.0), longest)
        before = event.at
        shortened.append(Event(clock, event.text))
    return shortened


def rows_of(events: Sequence[Event]) -> list[Row]:
    """A line of progress stands in the place of the one before of the same resource, and is cut; others are wrapped."""
    rows: list[Row] = []
    place: dict[str, int] = {}
    below = 0
    for event in events:
        progress = UNDER_WAY.match(event.text)
        if not progress:
            parts = textwrap.wrap(event.text, COLUMNS, subsequent_indent="      ", drop_whitespace=False) or [""]
            rows += [Row(below + index, part, event.at, None, event.text) for index, part in enumerate(parts)]
            below += len(parts)
            continue
        earlier = place.get(progress[1])
        if earlier is None:
            number, below = below, below + 1
        else:
            row = rows[earlier]
            rows[earlier] = replace(row, until=event.at)
            number = row.number
        place[progress[1]] = len(rows)
        rows.append(Row(number, _cut(event.text), event.at, None, event.text))
    return rows


def asciicast(events: Sequence[Event], title: str) -> str:
    """Version 2 of asciinema's format: a header and one JSON array a line."""
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "idle_time_limit": PAUSE, "title": title}
    lines = [json.dumps(header, ensure_ascii=False)]
    lines += [json.dumps([round(event.at, 2), "o", f"{event.text}\r\n"], ensure_ascii=False) for event in events]
    return "\n".join([*lines, ""])


def picture(events: Sequence[Event], title: str) -> str:
    """An SVG that plays the session again and again; without movement for who asked for less, its end alone."""
    rows = rows_of(without_pauses(events))
    end = max((row.since for row in rows), default=0.0) + LAST
    count = max((row.number for row in rows), default=0) + 1
    width, height = round(COLUMNS * ADVANCE) + 2 * MARGIN, ROWS * LINE + 2 * MARGIN
    rules, texts = [], []
    for index, row in enumerate(rows):
        start, stop = 100 * row.since / end, 100 * (row.until if row.until is not None else end) / end
        frames = f"0%,{max(start - 0.01, 0):.2f}%{{opacity:0}}{start:.2f}%,{max(stop - 0.01, start):.2f}%{{opacity:1}}"
        if row.until is not None:
            frames += f"{stop:.2f}%,100%{{opacity:0}}"
        rules.append(f"@keyframes r{index}{{{frames}}}#r{index}{{animation:r{index} {end:.1f}s linear infinite}}")
        hidden = "" if row.until is None else ' class="past"'
        y = MARGIN + LINE * (row.number + 1) - 5
        texts.append(
            f'<text id="r{index}"{hidden} x="{MARGIN}" y="{y}" {_fill(row.whole)}>{html.escape(row.text)}</text>'
        )
    last = max(count - ROWS, 0)
    rules.append(_scroll(rows, end))
    rules.append(
        f"@media(prefers-reduced-motion:reduce){{*{{animation:none!important}}.past{{opacity:0}}"
        f"#all{{transform:translateY({-last * LINE}px)}}}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t">'
        f'<title id="t">{html.escape(title)}</title><style>text{{font:14px ui-monospace,Menlo,Consolas,monospace;'
        f"white-space:pre}}{''.join(rules)}</style>"
        f'<rect width="{width}" height="{height}" rx="8" fill="#16191d"/>'
        f'<svg y="{MARGIN // 2}" width="{width}" height="{height - MARGIN}"><g id="all">{"".join(texts)}</g></svg>'
        "</svg>\n"
    )


def _scroll(rows: Sequence[Row], end: float) -> str:
    """The text moves up by a line whenever a new one would be below the picture."""
    frames = ["0%{transform:translateY(0)}"]
    lowest = ROWS - 1
    for row in rows:
        if row.number > lowest:
            before, lowest = lowest, row.number
            share = 100 * row.since / end
            frames.append(f"{max(share - 0.01, 0):.2f}%{{transform:translateY({-(before - ROWS + 1) * LINE}px)}}")
            frames.append(f"{share:.2f}%{{transform:translateY({-(lowest - ROWS + 1) * LINE}px)}}")
    frames.append(f"100%{{transform:translateY({-(lowest - ROWS + 1) * LINE}px)}}")
    return f"@keyframes all{{{''.join(frames)}}}#all{{animation:all {end:.1f}s linear infinite}}"


def _fill(text: str) -> str:
    if text.startswith("$ "):
        return 'fill="#ffffff" font-weight="bold"'
    if BAD.search(text):
        return 'fill="#ff8f85"'
    return 'fill="#7fd99a"' if GOOD.search(text) else 'fill="#c9d1d9"'


def _cut(text: str) -> str:
    return text if len(text) <= COLUMNS else f"{text[: COLUMNS - 1]}…"


def write(events: Sequence[Event], title: str, folder: Path, name: str) -> list[Path]:
    """`NAME.cast` and `NAME.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    cast, drawn = folder / f"{name}.cast", folder / f"{name}.svg"
    cast.write_text(asciicast(events, title))
    drawn.write_text(picture(events, title))
    return [cast, drawn]
