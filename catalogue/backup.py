"""What is backed up of a service, how often, and how long it is kept."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from catalogue.compose.values import Command
from catalogue.fields import AbsolutePath, Model
from catalogue.shapes import is_mapping

_DAY = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH, _DATE, _HOUR, _MINUTE = "(0?[1-9]|1[0-2])", "(0?[1-9]|[12][0-9]|3[01])", "([01]?[0-9]|2[0-3])", "[0-5]?[0-9]"


def _list(part: str) -> str:
    """One of a calendar event's parts as systemd writes it: any, some, or every so many."""
    return rf"(\*|{part}((,|\.\.){part})*)(/[0-9]{{1,2}})?"


_SCHEDULE = re.compile(
    rf"hourly|daily|weekly|monthly|(?P<days>{_DAY}((,|\.\.){_DAY})* )?\*-{_list(_MONTH)}-(?P<date>{_list(_DATE)}) "
    rf"(?P<hour>{_list(_HOUR)}):{_list(_MINUTE)}(:{_MINUTE})?"
)


def _schedule(text: str) -> str:
    if not _SCHEDULE.fullmatch(text):
        raise ValueError("when, in UTC and without a time zone: hourly, daily, Sun *-*-* 03:30:00, *-*-01 18:00")
    return text


Schedule = Annotated[str, AfterValidator(_schedule)]
Count = Annotated[int, Field(ge=0, le=1000)]


class Keep(Model):
    """How many backups are kept. At least one of the numbers is above 0."""

    daily: Count = 7
    """The newest backup of each of the last so many days that have one."""
    weekly: Count = 4
    """The newest backup of each of the last so many weeks that have one."""
    monthly: Count = 6
    """The newest backup of each of the last so many months that have one."""

    @model_validator(mode="after")
    def _keeps_one(self) -> "Keep":
        if not (self.daily or self.weekly or self.monthly):
            raise ValueError("at least one of daily, weekly and monthly above 0")
        return self


class Backup(Model):
    """What is backed up. Without `dump` and `load` the files themselves are taken: of a container those of its volumes
    and directories, of a native service `paths`."""

    dump: Command | None = None
    """A command in the container whose output is the backup; a text is for its shell. A known database must have
    one."""
    load: Command | None = None
    """A command in the container that reads what `dump` wrote, and fills an empty database with it."""
    paths: list[AbsolutePath] = []
    """Of a native service: the directories to back up, out of the system's `data`."""
    schedule: Schedule = "*-*-* 18:00:00"
    """When, in UTC, as systemd writes it; the default is the night in Japan."""
    drill: Schedule | None = None
    """When the newest backup is tried by itself, as `infra backup drill` does it; a failed one is an alert. In UTC, as
    systemd writes it. Without it, only by the command."""
    keep: Keep = Keep()
    """How long backups are kept, beside all of the last two days."""
    max_age: Annotated[int, Field(ge=1, le=24 * 366)] | None = None
    """Hours without a good backup after which the monitor alerts. By default 6 with `hourly`, 30 with one a day, 192
    with one a week, 768 with one a month."""

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, value: Any) -> Any:
        if is_mapping(value) or isinstance(value, Backup):
            return value
        raise ValueError("a mapping, such as {dump: …, load: …}; {} for a backup of the files with all defaults")

    @model_validator(mode="after")
    def _whole(self) -> "Backup":
        if bool(self.dump) is not bool(self.load):
            has, lacks = ("dump", "load") if self.dump else ("load", "dump")
            raise ValueError(f"{lacks} beside {has}: dump writes a backup, and load reads it")
        if self.dump and self.paths:
            raise ValueError("dump and load, or paths")
        return self

    @property
    def hours(self) -> int:
        """After how many hours without a good one the monitor alerts."""
        if self.max_age is not None:
            return self.max_age
        parts = _SCHEDULE.fullmatch(self.schedule)
        assert parts, "checked before"
        if self.schedule == "monthly" or (parts["date"] or "*")[:1] != "*":
            return 32 * 24
        if self.schedule == "weekly" or parts["days"]:
            return 8 * 24
        return 6 if self.schedule == "hourly" or (parts["hour"] or "0")[:1] == "*" else 30
