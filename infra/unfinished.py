"""Jobs on hosts that an interrupted update stopped following: remembered here until another update has settled them."""

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.errors import InfraError
from infra.paths import project_root
from infra.ssh import Target
from infra.writing import put

FOLDER = Path(".infra/jobs")


@dataclass(frozen=True)
class Unfinished:
    """Job `id` brings a release (its hash) to a host; `base` is what Pulumi remembered there, None before the first."""

    id: str
    release: str
    base: str | None


def _place(target: Target) -> Path:
    # The same name may be another machine in another stack
    machine = hashlib.sha256(f"{target.address}:{target.port} {target.host_key}".encode()).hexdigest()[:12]
    return project_root() / FOLDER / f"{target.host}-{machine}.json"


def remember(target: Target, job: Unfinished) -> None:
    place = _place(target)
    # A checkout that cannot be written to is no reason not to release
    with contextlib.suppress(OSError, InfraError):
        place.parent.mkdir(parents=True, exist_ok=True)
        put(place, json.dumps(asdict(job)))


def remembered(target: Target) -> Unfinished | None:
    try:
        found = Unfinished(**json.loads(_place(target).read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    # Another form is another program's, or torn: the host itself knows what became of its jobs
    known = (found.id, found.release, "" if found.base is None else found.base)
    return found if all(isinstance(value, str) for value in known) else None


def forget(target: Target) -> None:
    with contextlib.suppress(OSError):
        _place(target).unlink()
