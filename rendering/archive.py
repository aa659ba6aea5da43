"""A host's files as a release: a manifest with the hash of every file, and one deterministic archive."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from agent.documents.manifest import LEFT_OUT, File, Manifest
from rendering.files import HostFiles

AGENT = Path(__file__).parent.parent / "agent"
FORMAT = 3
# The highest takes three times as long, and saves one byte of a hundred
LEVEL = 6


@dataclass(frozen=True)
class Release:
    """`id` is the manifest's hash, `archive` a tar.gz with `manifest.json`, `files/` and the agent.

    `hashes` shows path → first 16 hex digits of the content's hash (mode and owner after it where they are
    not 0644 root), for people to see in a preview which files change.
    """

    id: str
    archive: bytes
    hashes: dict[str, str]
    manifest: Manifest


def build(host: HostFiles) -> Release:
    """The release of a host. The same files and agent give the same bytes, on any machine and at any time."""
    agent = {f"agent/{name}": text for name, text in agent_sources().items()}
    manifest = manifest_of(host)
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
    contents = {"manifest.json": text, **agent, **{f"files{file.path}": file.content for file in host.files}}
    return Release(hashlib.sha256(text).hexdigest(), _pack(contents), _hashes(host), manifest)


@cache
def agent_sources() -> Mapping[str, bytes]:
    """The agent's files by their path below agent/: read once, as every host gets the same."""
    return {str(path.relative_to(AGENT)): path.read_bytes() for path in sorted(AGENT.rglob("*.py"))}


def manifest_of(host: HostFiles) -> Manifest:
    """The manifest that the agent works from; its keys are `HostFiles`' fields."""
    files: list[File] = [
        {"path": f.path, "mode": f.mode, "owner": f.owner, "group": f.group, "sha256": f.sha256} for f in host.files
    ]
    rest = asdict(replace(host, files=[]))
    # What a manifest without them means already: hosts keep releases by their hashes
    for name, default in LEFT_OUT.items():
        if rest[name] == default:
            del rest[name]
    manifest = {**rest, "format": FORMAT, "files": sorted(files, key=lambda file: file["path"])}
    # What `asdict` makes of the dataclasses: tests/rendering/test_manifest_types.py holds it against the type
    return cast(Manifest, manifest)


def _hashes(host: HostFiles) -> dict[str, str]:
    """The hashes that a preview shows. An environment file's covers its plain values, and names and versions of
    secrets."""

    def short_hash(sha256: str, mode: int, owner: str) -> str:
        return sha256[:16] + ("" if (mode, owner) == (0o644, "root") else f" {mode:04o} {owner}")

    def of(value: Any) -> str:
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

    hashes = {file.path: short_hash(file.sha256, file.mode, file.owner) for file in host.files}
    hashes |= {
        file.path: short_hash(of([file.values, file.secrets, file.versions]), file.mode, file.owner)
        for file in host.environment_files
    }
    hashes |= {link.path: f"-> {link.target}" for link in host.links}
    return dict(sorted(hashes.items()))


def _pack(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(contents):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(contents[name]), 0o600
            tar.addfile(entry, io.BytesIO(contents[name]))
    return gzip.compress(buffer.getvalue(), LEVEL, mtime=0)
