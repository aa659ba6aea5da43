"""A host in memory that makes backups: restic and a database that can be dumped, as far as the agent sees them."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from functools import cache

from agent.backups import asking
from agent.places import Entry
from agent.world import TIMED_OUT, CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, images, release
from tests.catalogue.backups import CONFIG, PASSWORD, with_backups

DATABASE = "/var/lib/docker/volumes/web-db/_data"
OUTBOX = "/srv/web/outbox"


@dataclass
class BackupWorld(FakeWorld):
    """`kept` are the snapshots: id → (time, tag, paths or the dump). A database's content is the file `rows` of its
    directory; a container that runs on an empty one makes an empty one. `fails` maps a beginning of a command to its
    answer, once."""

    kept: dict[str, tuple[str, str, object]] = field(default_factory=dict)
    is_there: bool = True
    fails: dict[str, CommandResult] = field(default_factory=dict)

    def rows(self, place: str = DATABASE) -> str:
        return self.files[f"{place}/rows"][0].decode() if f"{place}/rows" in self.files else ""

    def write_rows(self, text: str, place: str = DATABASE) -> None:
        self.directories.setdefault(place, ("70", "70", 0o700))
        self.files[f"{place}/rows"] = (text.encode(), 0o600, "70", "70")

    def _failing(self, command: str) -> CommandResult | None:
        beginning = next((known for known in self.fails if command.startswith(known)), None)
        return self.fails.pop(beginning) if beginning else None

    def run(self, *argv, timeout=300, environment=None, stdin=""):
        command = " ".join(argv)
        if failed := self._failing(command):
            self._change()
            self.ran.append(command)
            return failed
        if argv[0] == "restic":
            self.ran.append(command)
            assert environment and environment["RESTIC_PASSWORD"] not in command
            return self._restic(list(argv[2:]))
        if argv[:3] == ("docker", "volume", "create"):
            self._change()
            self.ran.append(command)
            self.directories.setdefault(f"/var/lib/docker/volumes/{argv[-1]}/_data", ("root", "root", 0o701))
            return CommandResult(0, argv[-1])
        if argv[:3] == ("docker", "volume", "rm"):
            self._change()
            self.ran.append(command)
            self._drop(f"/var/lib/docker/volumes/{argv[-1]}")
            return CommandResult(0, "")
        return super().run(*argv, timeout=timeout, environment=environment, stdin=stdin)

    def _restic(self, words: list[str]) -> CommandResult:
        verb = words[0]
        if not self.is_there and verb != "init":
            return CommandResult(
                1, "Fatal: unable to open config file: Stat: The specified key does not exist.\nIs there a repository"
            )
        self._change()
        if verb == "init":
            self.is_there = True
        elif verb == "snapshots":
            service = words[words.index("--tag") + 1]
            found = [
                {
                    "id": id,
                    "time": at,
                    "paths": list(what) if isinstance(what, dict) else [f"/{service.partition('=')[2]}.dump"],
                }
                for id, (at, owner, what) in self.kept.items()
                if owner == service
            ]
            return CommandResult(0, json.dumps(found))
        elif verb == "backup":
            paths = [word for word in words[1:] if word.startswith("/")]
            files = {path: {n: f for n, f in self.files.items() if n.startswith(f"{path}/")} for path in paths}
            return CommandResult(
                0,
                json.dumps(
                    {"message_type": "summary", "snapshot_id": self._keep(words, files), "total_bytes_processed": 7}
                ),
            )
        elif verb == "tag":
            at, _, what = self.kept.pop(words[3])
            self.kept[words[3]] = (at, words[2], what)
        elif verb == "forget" and "--prune" not in words:
            for id in words[1:]:
                del self.kept[id]
        elif verb == "stats":
            return CommandResult(0, '{"total_size": 1000}')
        elif verb == "restore":
            self._restore(words)
        return CommandResult(0, "")

    def _keep(self, words: list[str], what: object) -> str:
        id = f"{len(self.kept) + 1:08x}"
        service = words[words.index("--tag") + 1]
        self.kept[id] = (f"2026-11-28T18:00:{len(self.kept):02d}Z", service, what)
        return id

    def _restore(self, words: list[str]) -> None:
        target, what = words[words.index("--target") + 1], self.kept[words[1]][2]
        assert isinstance(what, dict)
        included = words[words.index("--include") + 1] if "--include" in words else None
        for path, files in what.items():
            if included in (None, path):
                self.directories[f"{target}{path}"] = ("70", "70", 0o700)
                self.files |= {f"{target}{name}": file for name, file in files.items()}

    def pipe(self, source, sink, timeout, environment):
        assert environment["RESTIC_PASSWORD"] not in " ".join([*source, *sink])
        self.ran.append(f"{' '.join(source)} | {' '.join(sink)}")
        self._change()
        first, second = self._failing(" ".join(source)), self._failing(" ".join(sink))
        if first or second:
            return first or CommandResult(TIMED_OUT, ""), second or CommandResult(TIMED_OUT, ""), 10
        if source[0] == "docker":
            text = self.rows()
            if not text:
                return CommandResult(0, ""), CommandResult(TIMED_OUT, ""), 0
            id = self._keep(sink[2:], text)
            return (
                CommandResult(0, ""),
                CommandResult(0, json.dumps({"message_type": "summary", "snapshot_id": id})),
                len(text),
            )
        text = str(self.kept[source[3]][2])
        if not sink[3].startswith("infra-drill-"):
            assert "db.service" in self.active and not self.rows(), "it is loaded into an empty one that runs"
            self.write_rows(text)
        return CommandResult(0, ""), CommandResult(0, ""), len(text)

    def directory_entry(self, path):
        found = super().directory_entry(path)
        return found or (Entry("directory", b"", "root", "root", 0o755) if self.exists(path) else None)

    def exists(self, path):
        below = any(name.startswith(f"{path}/") for name in [*self.files, *self.directories])
        return super().exists(path) or below

    def rename_tree(self, source, path):
        super().rename_tree(source, path)
        for name in [name for name in self.directories if f"{name}/".startswith(f"{source}/")]:
            self.directories[path + name[len(source) :]] = self.directories.pop(name)

    def _drop(self, path):
        super()._drop(path)
        self.directories = {
            name: kept for name, kept in self.directories.items() if not f"{name}/".startswith(f"{path}/")
        }


SECRETS = {"db": {"POSTGRES_PASSWORD": "x" * 12}, "backup": {"RESTIC_PASSWORD": PASSWORD}}


@cache
def _served() -> BackupWorld:
    world = BackupWorld()
    world.installed.add("restic")
    made = release(with_backups, CONFIG)
    world.registry |= images(made)
    for name in ("db", "worker"):
        world.docker.containers[name] = {"watchme-network": ""}
        world.docker.states[name] = {"Health": {"Status": "healthy"}, "StartedAt": "2026-01-01T00:00:00Z"}
    outcome = applied(world, made, SECRETS)
    assert outcome.outcome == "applied", outcome.line
    world.write_rows("one two")
    world.files[f"{OUTBOX}/mail"] = (b"letter", 0o644, "root", "root")
    return world


def served_world() -> BackupWorld:
    """A host that serves a product with a database and a worker, both backed up."""
    world = copy.deepcopy(_served())
    world.ran.clear()
    return world


def say(line):
    pass


def now(world, service="db"):
    return asking.handle(world, "now", {"service": service}, say)
