"""A host's files as a release: a manifest with the hash of every file, and one deterministic archive."""

import hashlib
import json
import struct
import tarfile
import zlib
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
# Of a gzip file without a name and a time, written on Unix
HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\x03"


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
    manifest = manifest_of(host)
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
    contents = {"manifest.json": text, **{f"files{file.path}": file.content for file in host.files}}
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


def _pack(contents: Mapping[str, bytes]) -> bytes:
    """The archive of the agent and of `contents`, whose names all come after those of the agent's files."""
    start = _packed_agent()
    entries = _entries(contents)
    # As tarfile ends one: two empty blocks, and whole records
    end = bytes(2 * tarfile.BLOCKSIZE)
    rest = entries + end + bytes(-(start.size + len(entries) + len(end)) % tarfile.RECORDSIZE)
    compressor = start.compressor.copy()
    packed = compressor.compress(rest) + compressor.flush()
    trailer = struct.pack("<LL", zlib.crc32(rest, start.checksum), start.size + len(rest))
    return HEADER + start.packed + packed + trailer


@dataclass(frozen=True)
class _Start:
    """The beginning that all archives share: `size` and `checksum` of its plain bytes, what the compressor made of them
    so far (`packed`), and the compressor as it stands then, of which each archive goes on with a copy."""

    size: int
    checksum: int
    packed: bytes
    # The type that zlib gives it has no public name
    compressor: Any


@cache
def _packed_agent() -> _Start:
    """The agent, which is most of an archive, compressed once for all hosts."""
    entries = _entries({f"agent/{name}": text for name, text in agent_sources().items()})
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _Start(len(entries), zlib.crc32(entries), compressor.compress(entries), compressor)


def _entries(contents: Mapping[str, bytes]) -> bytes:
    """The entries of a tar file, in the order of their names."""
    parts: list[bytes] = []
    for name in sorted(contents):
        content = contents[name]
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o600
        parts += [entry.tobuf(tarfile.PAX_FORMAT), content, bytes(-len(content) % tarfile.BLOCKSIZE)]
    return b"".join(parts)
