"""What the files of a host are to be, and how that differs from what they are. Pure but for reading."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from agent.documents.jobs import Secrets
from agent.documents.manifest import EnvironmentFile, File, Link, Manifest
from agent.outcome import Refused
from agent.world import World

# Between the name and the value of a file's only secret, a text of several lines
WHOLE = "\n"
# The same of one that is a secret and nothing else
ALONE = ""
PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class DesiredFile:
    """A file as it is to be. No `group` stands for the owner's own."""

    path: str
    content: bytes
    mode: int
    owner: str
    group: str

    @classmethod
    def of(cls, entry: File | EnvironmentFile, content: bytes) -> DesiredFile:
        """The file of a manifest's entry."""
        return cls(entry["path"], content, entry["mode"], entry["owner"], entry["group"])

    def differs(self, world: World) -> bool:
        present = world.entry(self.path)
        if present.kind != "file" or present.content != self.content:
            return True
        return (present.owner, present.mode) != (self.owner, self.mode) or self.group not in ("", present.group)


def desired_files(manifest: Manifest, contents: dict[str, bytes], secrets: Secrets) -> list[DesiredFile]:
    """Every file of the release. Raises Refused naming each secret that did not come along."""
    files = [DesiredFile.of(file, contents[f"files{file['path']}"]) for file in manifest["files"]]
    return files + [DesiredFile.of(item, _environment(item, secrets)) for item in manifest["environment_files"]]


def _environment(item: EnvironmentFile, secrets: Secrets) -> bytes:
    values = dict(item["values"])
    for name, place in item["secrets"].items():
        service, key = place.split("/", 1)
        if key not in secrets.get(service, {}):
            raise Refused(f"secret {key} of {service} is not set: set infra:secrets.{service}.{key} and run again")
        values[name] = secrets[service][key]
    head = f"{item['head']}\n" if item["head"] else ""
    between = item.get("between", "=")
    if between == ALONE:
        return "".join(values.values()).encode()
    lines = [f"{n}{between}{_quote(v) if between == '=' else v}\n" for n, v in sorted(values.items())]
    return (head + "".join(lines)).encode()


def assignments(text: str, item: EnvironmentFile) -> dict[str, str]:
    """Name → value of a file of an entry's form, as `_environment` writes it."""
    between = item.get("between", "=")
    if between == ALONE:
        return {"": text}
    if between == WHOLE:
        name, _, value = text.partition(WHOLE)
        return {name: value[:-1] if value.endswith("\n") else value}
    return dict(line.split(between, 1) for line in text.splitlines() if between in line)


def _quote(value: str) -> str:
    return value if PLAIN.fullmatch(value) else f"'{value}'"


@dataclass(frozen=True)
class Difference:
    """What an apply has to do to the files: `write`, `remove` and `link`; `paths` names them all."""

    write: list[DesiredFile]
    remove: list[str]
    link: dict[str, str]

    @property
    def paths(self) -> list[str]:
        return sorted([*(file.path for file in self.write), *self.remove, *self.link])


def difference(world: World, files: list[DesiredFile], links: list[Link], previous: Manifest | None) -> Difference:
    """The host's files against the wanted ones; what the previous manifest had and this one has not goes."""
    kept_paths = {file.path for file in files} | {link["path"] for link in links}
    before = {
        item["path"] for kind in ("files", "environment_files", "links") for item in (previous or {}).get(kind, [])
    }
    return Difference(
        [file for file in files if file.differs(world)],
        sorted(path for path in before - kept_paths if exists(world, path)),
        {link["path"]: link["target"] for link in links if world.link_target(link["path"]) != link["target"]},
    )


def exists(world: World, path: str) -> bool:
    return world.entry(path).kind != "absent"
