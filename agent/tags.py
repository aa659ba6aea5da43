"""Services that follow a tag by themselves (`deploy: {watch: TAG}`): a timer has the host ask its registry what the tag
means, and start a job where that is another image than the one that is deployed."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from agent import ecr, install, jobs, lock, quoting, registry, store, tag_releases, transaction
from agent.documents.docker import ClientConfig
from agent.documents.jobs import Payload, Spec
from agent.outcome import Refused
from agent.store import Release
from agent.wording import phrase
from agent.world import World

CONFIG = "/etc/infra/tags.json"
NOTES = f"{store.STATE}/tags.json"
ROUND = 60.0  # seconds after which a round asks no further registry
PAUSE, LONGEST = 30.0, 1800.0  # seconds until what failed is tried again: twice as long each time
PATIENCE = 5  # questions in a row that a registry may leave unanswered before that is worth a notice
SILENT = -1  # in a status's place, where this host has no login


@dataclass(frozen=True)
class FollowedTag:
    """A tag of an image `host/name`, and the services that follow it."""

    image: str
    tag: str
    services: list[str]

    @property
    def name(self) -> str:
        return f"{self.image.partition('/')[2]}:{self.tag}"

    def digest_in(self, release: Release) -> str:
        """The digest that a release has of it; "" for none."""
        return next((i.partition("@")[2] for i in release.images if i.startswith(f"{self.image}@")), "")


@dataclass
class Note:
    """What is remembered of a tag. `digest` is what it meant when it was last tried or deployed, `job` the one that was
    started for it and whose end was not seen yet. It is `settled` where that digest is not to be tried again, whatever
    serves. `fault` is why it was not taken, `status` what the registry answered last (200: nothing is wrong), `failed`
    how often in a row something failed, `after` when the next try is due."""

    digest: str = ""
    job: str = ""
    settled: bool = False
    fault: str = ""
    status: int = 200
    failed: int = 0
    after: float = 0.0

    def postpone(self, now: float) -> None:
        self.failed += 1
        self.after = now + min(PAUSE * 2 ** (self.failed - 1), LONGEST)


def read_list(world: World) -> list[FollowedTag]:
    """The tags that the release which serves follows."""
    return [FollowedTag(**entry) for entry in json.loads(world.read(CONFIG) or b"[]")]


def run(world: World, say: Callable[[str], None]) -> int:
    """One round, for the timer. What cannot be done now is said, and tried again: it is no failure of the unit."""
    try:
        look(world, say)
    except (Refused, OSError, ValueError, KeyError, TypeError) as error:
        say(str(error) if isinstance(error, Refused) else quoting.error(error))
    return 0


def look(world: World, say: Callable[[str], None]) -> None:
    """Starts at most one job: another tag has its turn in a later round."""
    followed_tags = read_list(world)
    release = store.current(world) if followed_tags else None
    if release is None or lock.holder() is not None or transaction.load_unfinished(world):
        return
    notes = _notes(world)
    if any(note.job and jobs.is_on(world, note.job) for note in notes.values()):
        return
    before = json.dumps({name: asdict(note) for name, note in notes.items()})
    notes = {entry.name: notes.get(entry.name, Note()) for entry in followed_tags}
    end = world.now() + ROUND
    for entry in followed_tags:
        note = notes[entry.name]
        _settle(world, note)
        if world.now() > end:
            break
        if world.wall() >= note.after and _is_new(world, entry, note, release):
            try:
                _begin(world, entry, note, release, say)
            except Refused as refusal:
                note.fault = str(refusal)
                note.postpone(world.wall())
                say(note.fault)
            break
    # A clock that was set back holds up nothing for longer than the longest pause
    for note in notes.values():
        note.after = min(note.after, world.wall() + LONGEST)
    after = json.dumps({name: asdict(note) for name, note in notes.items()})
    if after != before:
        world.write(NOTES, after.encode(), 0o600, "root", "root")


def _notes(world: World) -> dict[str, Note]:
    """By the tags' names; a damaged file is none."""
    try:
        return {name: Note(**note) for name, note in json.loads(world.read(NOTES) or b"{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _settle(world: World, note: Note) -> None:
    """Takes in how the job ended that was started last."""
    if not note.job:
        return
    job_entry = next((entry for entry in store.history(world) if entry["job"] == note.job), None)
    note.job = ""
    if job_entry is None:
        # It did not get its turn, or was ended before it did anything
        return
    if job_entry["outcome"] == "refused":
        note.fault = job_entry["line"]
        note.postpone(world.wall())
        return
    note.settled, note.fault, note.failed = True, job_entry["line"] if job_entry["code"] else "", 0


def _is_new(world: World, entry: FollowedTag, note: Note, release: Release) -> bool:
    """Does the tag mean another image than the deployed one, which was not tried yet and suits this host. What the
    registry says is noted."""
    config: ClientConfig = json.loads(world.read(ecr.CONFIG) or b"{}")
    login = registry.login_for(world, entry.image.partition("/")[0], config, {})
    if login is None:
        note.status = SILENT
        note.postpone(world.wall())
        return False
    note.status, digest = registry.under_tag(world, entry.image, entry.tag, login)
    if note.status != 200:
        note.postpone(world.wall())
        return False
    if digest == entry.digest_in(release):
        # From here on another image is a person's decision, until the tag moves
        note.digest, note.settled, note.fault, note.failed = digest, True, "", 0
        return False
    if digest == note.digest and note.settled:
        note.failed = 0
        return False
    if digest != note.digest:
        note.digest, note.settled, note.fault, note.failed = digest, False, "", 0
    present = registry.look_up(world, f"{entry.image}@{digest}", registry.architecture(world), login)
    if present.fault:
        if present.may_pass:
            note.status = 0
        else:
            note.fault, note.settled = present.fault, True
        note.postpone(world.wall())
        return False
    return True


def _begin(world: World, entry: FollowedTag, note: Note, release: Release, say: Callable[[str], None]) -> None:
    """Raises Refused."""
    old, new = (f"{entry.image}@{digest}" for digest in (entry.digest_in(release), note.digest))
    target = tag_releases.exchange(world, release.id, old, new)
    moment = time.strftime("%Y%m%d%H%M%S", time.gmtime(world.wall()))
    spec: Spec = {
        "id": f"watch-{moment}-{note.digest[7:19]}", "kind": tag_releases.KIND, "who": f"watch {entry.tag}",
        "host": release.manifest["host"], "release": target.id, "base": None, "confirm": 0.0, "only": entry.services,
    }  # fmt: skip
    payload: Payload = {"secrets": {}, "instead": [old, new]}
    say(f"{entry.name} means {note.digest[:19]} now: deploying {', '.join(entry.services)}")
    with lock.lock("starting a job", say, install.LOCK):
        jobs.start(world, spec, payload, install.BIN)
    note.job = spec["id"]


def states(world: World) -> dict[str, str]:
    """Service → the tag that it follows; none where the list of them cannot be read."""
    with contextlib.suppress(ValueError, TypeError):
        return {service: entry.tag for entry in read_list(world) for service in entry.services}
    return {}


def faults(world: World) -> dict[str, str]:
    """Tag → why what it means is not deployed; "" where nothing is wrong."""
    notes = _notes(world)
    return {entry.name: fault(notes.get(entry.name, Note())) for entry in read_list(world)}


def fault(note: Note) -> str:
    if note.fault:
        return note.fault
    if note.status == 200 or note.failed < PATIENCE:
        return ""
    if note.status == SILENT:
        return phrase("no login is available")
    return phrase("it answered {status}", status=note.status) if note.status else phrase("it does not answer")
