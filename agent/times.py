"""Times as people read them, each with its zone: that of a stack's owners, or of the machine that shows them. What
programs read (JSON, records, locks, logs of a host) keeps UTC."""

from __future__ import annotations

import re
from datetime import datetime, timezone, tzinfo
from zoneinfo import ZoneInfo

DEFAULT = "UTC"
MINUTES, SECONDS, DATE = "%Y-%m-%d %H:%M %Z", "%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%d"
UNKNOWN = "an unknown time"
# As hosts' locks, records and messages have one
IN_TEXT = re.compile(r"\b\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2})? UTC\b")
_UTC = re.compile(r" ?(Z|UTC)$")


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name; UTC where this machine does not know it: a minimal system has no tzdata."""
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        return timezone.utc


def show(at: float | datetime, zone: tzinfo | None = None, form: str = MINUTES) -> str:
    """`2026-11-30 02:00 JST`, of seconds since 1970 or of a time with a zone; without a `zone` in that of this
    machine."""
    try:
        moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, timezone.utc)
        return moment.astimezone(zone).strftime(form)
    except (OverflowError, OSError, ValueError):
        return UNKNOWN


def read(text: str) -> float | None:
    """Seconds since 1970 of `2026-11-29T17:00:00Z`, `2026-11-29 17:00 UTC` or another time of ISO 8601, which is in UTC
    where it has no offset; None of any other text."""
    try:
        moment = datetime.fromisoformat(_UTC.sub("+00:00", text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (OverflowError, ValueError):
        return None


def show_text(text: str, zone: tzinfo | None = None, form: str = MINUTES) -> str:
    """A time that was written in UTC; a text that is none as it stands."""
    at = read(text)
    return text if at is None else show(at, zone, form)


def in_text(text: str, zone: tzinfo | None = None) -> str:
    """A message with the times in it (`…, since 2026-11-29 17:00:00 UTC`) as the reader's."""
    return IN_TEXT.sub(lambda match: show_text(match[0], zone, SECONDS if match[1] else MINUTES), text)
