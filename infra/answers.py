"""What a host's agent may answer: the part of each answer that is read here. A host can be broken or hostile, so every
answer is held against its form before anything is made of it."""

from typing import Annotated, Any, TypedDict

from pydantic import Field, model_validator

from agent.copying import Copy
from agent.documents.jobs import Event
from agent.documents.moves import TrafficAnswer
from catalogue.shapes import JsonObject
from infra.backup_forms import Backups, DrillResult, MadeBackup, RestoredBackup, VerifiedBackups
from infra.forms import MOST, Form, Names, Number, Seconds, Text, Whole, WholeSeconds, check_form
from infra.move.forms import MOVING, Moving, PreparedData, ReadyData, StartedData, UndoneData
from infra.overview_forms import HistoryEntry, Overview


class ProgressLine(Form):
    """A line for people on the way to an answer."""

    say: str


class Result(Form):
    outcome: Text
    code: Annotated[int, Field(ge=0, le=255)]
    line: str
    release: Text = ""


class JobEvent(Form):
    """Of a job that is followed; `{}` is a sign of life. What is said for people is cut where it is shown."""

    say: str = ""
    look_at: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=500)] = []
    result: Result | None = None


class DeliveryInfo(Form):
    """How the release that serves came: since when, by whom, by which kind of job."""

    began: Text = "?"
    who: Text = "?"
    kind: Text = ""


class Unfinished(Form):
    release: Text


class Alert(Form):
    alert: Text
    text: Text


class Repair(Form):
    alert: Text
    repair: Text
    worked: bool
    said: Text
    at: Seconds


# Public name, days that are left, what is wrong
Certificate = Annotated[list[Text | Number | None], Field(min_length=3, max_length=3)]


class LastJob(Form):
    code: Whole
    line: Text
    began: Text | None = None


class Maintenance(Form):
    since: WholeSeconds
    until: WholeSeconds
    who: Text


Sites = Annotated[dict[Text, Maintenance], Field(max_length=MOST)]


class InMaintenance(Form):
    maintenance: Sites


class SpreadState(Form):
    replicas: Whole
    hosts: Names


class GroupState(Form):
    hosts: Annotated[dict[Text, Text], Field(max_length=MOST)]
    services: Annotated[dict[Text, SpreadState], Field(max_length=MOST)]
    error: Text = ""


class Status(Form):
    release: Text | None
    brought: DeliveryInfo | None
    unfinished: Unfinished | None
    holder: Text | None
    units: Annotated[dict[str, bool], Field(max_length=MOST)]
    services: Annotated[dict[str, Whole], Field(max_length=MOST)]
    certificates: Annotated[list[Certificate], Field(max_length=MOST)]
    alerts: Annotated[list[Alert], Field(max_length=MOST)]
    drifted: Names = []
    repairs: Annotated[list[Repair], Field(max_length=MOST)] = []
    resting: Names = []
    away: Annotated[dict[str, Text], Field(max_length=MOST)] = {}
    maintenance: Sites = {}
    builds: Annotated[dict[Text, dict[Text, Text]], Field(max_length=MOST)] = {}
    group: GroupState | None = None
    last_job: LastJob | None


class Difference(Form):
    path: Text
    found: Text
    diff: Annotated[str, Field(max_length=64 * 1024**2)] = ""


class Drift(Form):
    release: Text | None
    drift: Annotated[list[Difference], Field(max_length=MOST)]
    maintenance: Sites = {}


class AccessRecord(Form):
    """That a person ran a program in a service (`infra exec`, `shell`): when, who and how."""

    at: Seconds
    who: Text
    how: Text
    service: Text
    program: Text


class Releases(Form):
    current: Text | None
    kept: Names
    history: Annotated[list[HistoryEntry], Field(max_length=MOST)]
    images: Names | None = None
    services: dict[Text, dict[Text, Names]] = {}
    reached: Annotated[list[AccessRecord], Field(max_length=MOST)] = []
    damaged: Names = []
    damaged_jobs: Names = []


class Reach(Form):
    """What waits there to be entered, where a port is, or that it is the host itself."""

    enter: Annotated[str, Field(pattern=r"^[0-9a-f]{1,12}-[0-9a-f]{32}$")] | None = None
    address: Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]{2,45}$")] | None = None
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    host: bool = False


class PruneResult(Form):
    """How many bytes `infra prune` freed."""

    freed: Annotated[Whole, Field(ge=0)]


class Milestone(Form):
    name: Text
    unit: Text
    seconds: Number | None
    within: Number


class BootTimes(Form):
    milestones: Annotated[list[Milestone], Field(max_length=MOST)]


class UnitOfManifest(Form):
    name: Text
    images: Names


class EnvironmentFileOfManifest(Form):
    path: Text
    secrets: dict[str, str]
    versions: dict[str, str]


class Manifest(Form):
    """What a preview reads of it."""

    memory: Whole
    units: Annotated[list[UnitOfManifest], Field(max_length=MOST)]
    environment_files: Annotated[list[EnvironmentFileOfManifest], Field(max_length=MOST)]


class Contents(Form):
    release: Text | None
    manifest: Manifest | None = None
    files: dict[str, str] | None = None

    @model_validator(mode="after")
    def has_what_a_release_has(self) -> "Contents":
        if self.release is not None and (self.manifest is None or self.files is None):
            raise ValueError("manifest and files are missing")
        return self


class LogLine(Form):
    at: Seconds
    line: str
    origin: Annotated[Text, Field(alias="from")]


class RestoredFiles(Form):
    """What came of one directory: files and bytes that were copied, files that were kept, and those that failed."""

    files: Whole
    bytes: Whole
    kept: Whole
    failed: Whole = 0


class RestoreResult(Form):
    """What `infra restore` copied from a volume, by directory, and which directories the volume does not have."""

    brought: Annotated[dict[str, RestoredFiles], Field(max_length=MOST)]
    absent: Names


class CopyResult(Form):
    """How the copy of one image ended: its digest, or the reason why it has none."""

    to: Text
    how: Text
    digest: Text | None
    reason: Text = ""


class Copying(Form):
    """Of a host that copies images; `{}` is a sign of life."""

    image: CopyResult | None = None
    images: Annotated[list[CopyResult], Field(max_length=MOST)] = []


class Mounting(Form):
    """Of a host that mounts its data disk; `{}` is a sign of life."""

    say: str = ""
    refused: str = ""
    done: dict[str, Text] | None = None


# Address, and how many requests it made
Client = Annotated[list[Text | Whole], Field(min_length=2, max_length=2)]


class Traffic(Form):
    requests: Annotated[Whole, Field(ge=0)]
    failed: Annotated[Whole, Field(ge=0)] | None = None
    open: Annotated[Whole, Field(ge=0)]
    ago: Seconds | None
    clients: Annotated[list[Client], Field(max_length=MOST)]


FORMS: dict[str, type[Form]] = {
    "status": Status, "overview": Overview, "drift": Drift, "releases": Releases, "prune": PruneResult,
    "boot-times": BootTimes,
    "maintenance": InMaintenance, "reach": Reach, "contents": Contents, "logs": LogLine, "restore": RestoreResult,
    "backup-list": Backups, "backup-now": MadeBackup, "backup-verify": VerifiedBackups,
    "backup-restore": RestoredBackup, "backup-drill": DrillResult,
    "arrive-prepare": PreparedData, "arrive-ready": ReadyData, "arrive-start": StartedData, "arrive-undo": UndoneData,
}  # fmt: skip


class CopyingEvent(TypedDict, total=False):
    """What a host says while it copies: one image after the other, and all `images` at its end."""

    image: Copy
    images: list[Copy]


class MountingEvent(TypedDict, total=False):
    """What a host says while it mounts its data disk: lines, and at its end the directories that are mounted (`done`),
    or why they are not."""

    say: str
    refused: str
    done: dict[str, str]


class MovingEvent(TypedDict, total=False):
    """What a host says of its data: its answer (`done`), as agent/documents/moves.py has it, or why there is none."""

    failed: str
    done: Any


def check_answer(verb: str, event: JsonObject, host: str) -> Any:
    """The event itself, when it has the form of an answer to the verb, or of a line on the way to it. Raises
    InfraError, naming the host and the field."""
    return check_form(ProgressLine if set(event) == {"say"} else FORMS[verb], event, f"the answer to {verb!r}", host)


def checked_job_event(event: JsonObject, host: str) -> Event:
    """An event of a job, when it has the form of one. Raises InfraError."""
    return check_form(JobEvent, event, "what is said of the job", host)


def checked_copying(event: JsonObject, host: str) -> CopyingEvent:
    """What a host says while it copies images, when it has that form. Raises InfraError."""
    return check_form(Copying, event, "what is said of the images", host)


def checked_mounting(event: JsonObject, host: str) -> MountingEvent:
    """What a host says while it mounts its data disk, when it has that form. Raises InfraError."""
    return check_form(Mounting, event, "what is said of the data disk", host)


def checked_moving(what: str, event: JsonObject, host: str) -> MovingEvent:
    """What a host says of its data that moves, when it has that form. Raises InfraError."""
    checked: MovingEvent = check_form(Moving, event, "what is said of its data", host)
    if what in MOVING and "done" in checked:
        check_form(MOVING[what], checked["done"], f"the answer to {what!r}", host)
    return checked


def checked_traffic(event: JsonObject, host: str) -> TrafficAnswer:
    """What a host says of its requests, when it has that form. Raises InfraError."""
    return check_form(Traffic, event, "what is said of the requests", host)
