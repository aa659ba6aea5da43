"""Jobs on hosts that an interrupted update stopped following: remembered here until another update has settled them."""

import contextlib
import hashlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from catalogue.shapes import is_mapping
from infra import notes
from infra.errors import InfraError
from infra.ssh import Target

FOLDER = Path(".infra/jobs")


@dataclass(frozen=True)
class Unfinished:
    """Job `id` brings a release (its hash) to a host; `base` is what Pulumi remembered there, None before the first."""

    id: str
    release: str
    base: str | None


FIELDS = {one.name for one in fields(Unfinished)}


def _place(target: Target) -> Path:
    # The same name may be another machine in another stack
    machine = hashlib.sha256(f"{target.address}:{target.port} {target.host_key}".encode()).hexdigest()[:12]
    return FOLDER / f"{target.host}-{machine}.json"


def remember(target: Target, job: Unfinished) -> None:
    # A checkout that cannot be written to is no reason not to release
    with contextlib.suppress(InfraError):
        notes.keep(_place(target), asdict(job))


def read_job(target: Target) -> Unfinished | None:
    note = notes.read(_place(target))
    # Another form is another program's, or torn: the host itself knows what became of its jobs
    if not is_mapping(note) or set(note) != FIELDS:
        return None
    id, release, base = note["id"], note["release"], note["base"]
    if not isinstance(id, str) or not isinstance(release, str) or not isinstance(base, str | None):
        return None
    return Unfinished(id, release, base)


def forget(target: Target) -> None:
    with contextlib.suppress(InfraError):
        notes.forget(_place(target))
