"""What is backed up of a service, how often, and how long it is kept."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from catalogue.compose.values import Command
from catalogue.fields import AbsolutePath, Model

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
    """How many backups are kept: the newest of each of so many days, weeks and months that have one."""

    daily: Count = 7
    weekly: Count = 4
    monthly: Count = 6

    @model_validator(mode="after")
    def _keeps_one(self) -> "Keep":
        if not (self.daily or self.weekly or self.monthly):
            raise ValueError("at least one of daily, weekly and monthly above 0")
        return self


class Backup(Model):
    """`dump` is a command in the container whose output is the backup, `load` one that reads it and fills an empty
    database: files of a running database are no backup of it. Without them the files themselves are taken: of a
    container those of its volumes and directories, of a native service `paths`. `schedule` is a systemd calendar event
    in UTC. `max_age` is after how many hours without a good backup the monitor alerts; by default some more than the
    schedule leaves between two."""

    dump: Command | None = None
    load: Command | None = None
    paths: list[AbsolutePath] = []
    schedule: Schedule = "*-*-* 18:00:00"
    keep: Keep = Keep()
    max_age: Annotated[int, Field(ge=1, le=24 * 366)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, given: Any) -> Any:
        if not isinstance(given, dict | Backup):
            raise ValueError("a mapping, such as {dump: …, load: …}; {} for the files with all defaults")
        return given

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
        assert parts, "it was looked at before"
        if self.schedule == "monthly" or (parts["date"] or "*")[:1] != "*":
            return 32 * 24
        if self.schedule == "weekly" or parts["days"]:
            return 8 * 24
        return 6 if self.schedule == "hourly" or (parts["hour"] or "0")[:1] == "*" else 30
