"""What is backed up of a service, how often, and how long it is kept."""

from typing import Annotated

from pydantic import Field, model_validator

from catalogue.compose.values import Command
from catalogue.fields import AbsolutePath, Model

# As systemd writes them, without a time zone: the host appends UTC
_DAY = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_DAYS = rf"{_DAY}((,|\.\.){_DAY})* "
_DATE, _TIME = r"[0-9*][0-9*/.,-]*", r"([01]?[0-9]|2[0-3]|[*])[0-9*/.,]*:[0-5*][0-9*/.,:]*"
Schedule = Annotated[str, Field(pattern=rf"^(hourly|daily|weekly|monthly|({_DAYS})?{_DATE} {_TIME})$")]
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
    in UTC. `max_age` is after how many hours without a good backup the monitor alerts."""

    dump: Command | None = None
    load: Command | None = None
    paths: list[AbsolutePath] = []
    schedule: Schedule = "*-*-* 18:00:00"
    keep: Keep = Keep()
    max_age: Annotated[int, Field(ge=1, le=24 * 366)] = 30

    @model_validator(mode="after")
    def _whole(self) -> "Backup":
        if bool(self.dump) is not bool(self.load):
            missing = "load: the command that reads what dump writes" if self.dump else "dump: whose output load reads"
            raise ValueError(missing)
        if self.dump and self.paths:
            raise ValueError("dump and load, or paths")
        return self
