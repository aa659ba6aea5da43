"""Who the page is for: the language, the zone and the time in which everything on it is said."""

from dataclasses import dataclass
from datetime import tzinfo

from agent import times
from agent.monitor import markup
from agent.monitor.markup import Markup
from agent.wording import Speaker

HOUR = 3600
COMMA = ", "
NONE = "–"  # in a cell that has nothing to say


@dataclass(frozen=True)
class Reader:
    say: Speaker
    zone: tzinfo
    now: float

    def time(self, at: float | str) -> Markup:
        return markup.time(at, self.zone)

    def date(self, at: float) -> str:
        return times.show(at, self.zone, times.DATE)

    def ago(self, at: float) -> str:
        """The time since then, rounded: minutes up to 2 hours, hours up to 3 days, then days."""
        hours = max(self.now - at, 0) / HOUR
        if hours < 2:
            return self.say("{count} min ago", count=f"{hours * 60:.0f}")
        if hours < 72:
            return self.say("{count} h ago", count=f"{hours:.0f}")
        return self.say("{count} days ago", count=f"{hours / 24:.0f}")

    def table(self, title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
        """A table below its heading, each row with a head; nothing where it has no rows."""
        if not rows:
            return ""
        heading = self.say.word(title)
        return f"<h4>{markup.cell(heading)}</h4>" + markup.table(
            [self.say.word(head) for head in heads], rows, heading, with_row_heads=True
        )
