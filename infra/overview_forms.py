"""What a host's agent may answer about its last month, for the dashboard. See answers.py."""

from typing import Annotated

from pydantic import Field

from infra.backup_forms import BadBackup, Drill, GoodBackup
from infra.forms import MOST, Form, Names, Seconds, Text, Whole, WholeSeconds

Share = Annotated[float, Field(ge=0, le=100)]  # percent
Count = Annotated[int, Field(ge=0, lt=2**53)]
# Of a service's day
Cells = Annotated[list[Annotated[int, Field(ge=-1, le=1)]], Field(max_length=100)]


class HistoryEntry(Form):
    release: Text
    began: Text
    who: Text
    kind: Text
    changed: Names
    restarted: Names = []
    outcome: Text
    code: Whole
    line: Text


class Hour(Form):
    """As `Hour` in agent/documents/answers.py says."""

    at: WholeSeconds
    memory: Share | None
    disks: Annotated[dict[Text, Share], Field(max_length=100)]
    answers: Count | None
    errors: Count | None
    at_least: bool = False


class MachineUse(Form):
    subject: Text
    size: Count
    free: Count


class BackupState(Form):
    service: Text
    good: GoodBackup | None = None
    failed: BadBackup | None = None
    drill: Drill | None = None


class Overview(Form):
    at: Seconds
    hours: Annotated[list[Hour], Field(max_length=1000)]
    memory: MachineUse | None
    disks: Annotated[list[MachineUse], Field(max_length=100)]
    days: Annotated[dict[Text, Cells], Field(max_length=MOST)]
    jobs: Annotated[list[HistoryEntry], Field(max_length=100)]
    backups: Annotated[list[BackupState], Field(max_length=MOST)]
