"""The pieces of HTML that the host's own page and the dashboard of all hosts (infra/dashboard/) are made of. Text of
any origin is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timezone, tzinfo
from html import escape

from agent import times
from agent.wording import Speaker


class Markup(str):
    """What stands on the page as it is."""


def fill(say: Speaker, form: str, **values: str) -> Markup:
    """A text by its English form, which is the program's own, with values that may be markup."""
    return Markup(say(form, **{name: cell(value) for name, value in values.items()}))


def cell(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)


def time(value: str | float, zone: tzinfo) -> Markup:
    """A time in the owners' zone, and for programs in UTC; a text that is none as it stands."""
    at = times.read(value) if isinstance(value, str) else value
    if at is None:
        return Markup(escape(str(value)))
    in_utc = times.show(at, timezone.utc, "%Y-%m-%dT%H:%M:%SZ")
    return Markup(f'<time datetime="{in_utc}">{times.show(at, zone)}</time>')


def state(text: str, is_healthy: bool) -> Markup:
    """A text in the colour of what is right, or of what is not."""
    return Markup(f'<span class="{"healthy" if is_healthy else "unhealthy"}">{cell(text)}</span>')


def table(heads: Iterable[str], rows: Iterable[Sequence[str]], label: str = "", with_row_heads: bool = False) -> str:
    """A table that can be scrolled where it is wider than the page. Its `label` is for who cannot see it, and for the
    keyboard; `with_row_heads` the first cell of a row is its head."""
    name = f' tabindex="0" role="region" aria-label="{escape(label)}"' if label else ""
    head = "".join(f'<th scope="col">{cell(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(_row(row, with_row_heads))}</tr>" for row in rows)
    return f'<div class="wide"{name}><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(row: Sequence[str], with_row_heads: bool) -> Iterator[str]:
    for number, text in enumerate(row):
        is_head = with_row_heads and number == 0
        yield f'<th scope="row">{cell(text)}</th>' if is_head else f"<td>{cell(text)}</td>"


def service_state(status: int, say: Speaker) -> Markup:
    """How a service answers now."""
    wrong = say("answers {status}", status=status) if status else say("does not answer")
    return state(say("healthy") if status == 200 else wrong, status == 200)


def day(cells: Sequence[int], say: Speaker) -> Markup:
    """A service's day as a strip: 1 where it was healthy, 0 where it was not, -1 where it was not checked."""
    checked_cells = [cell for cell in cells if cell >= 0]
    label = (
        say("healthy in {good} of {all} half-hours", good=checked_cells.count(1), all=len(checked_cells))
        if checked_cells
        else say("not checked")
    )
    bars = "".join(f'<i class="{ {1: "g", 0: "b"}.get(cell, "") }"></i>' for cell in cells)
    return Markup(f'<div class="day" role="img" aria-label="{label}" title="{label}">{bars}</div>')


def meter(used: float, limit: float, text: str) -> Markup:
    """How much of something is in use, as a bar with its text; nearly all of it is marked."""
    high = int(limit * 0.95)
    return Markup(f'<meter min="0" max="{limit}" high="{high}" value="{used}"></meter> {escape(text)}')
