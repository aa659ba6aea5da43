"""The stub images: a static program in an OCI layout, both architectures, without a Docker build."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

from lab.run import run
from lab.say import step
from lab.settings import CACHE, ROOT
from lab.tools import ensure_go

STUB = ROOT / "lab" / "stub"
ARCHITECTURES = ("amd64", "arm64")


def build_go(folder: Path, architecture: str) -> Path:
    """A static program out of a folder with a main.go, built once per source."""
    pin = hashlib.sha256((folder / "main.go").read_bytes()).hexdigest()[:12]
    program = CACHE / f"{folder.name}-{pin}" / architecture
    if not program.exists():
        with step(f"building {folder.name} for {architecture}"):
            program.parent.mkdir(parents=True, exist_ok=True)
            env = {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": architecture}
            part = f"{program}.part"
            run(ensure_go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", part, ".", cwd=folder, env=env)
            Path(part).rename(program)
    return program


def build_programs() -> dict[str, bytes]:
    """Architecture → the stub's program."""
    return {architecture: build_go(STUB, architecture).read_bytes() for architecture in ARCHITECTURES}


def write_layout(target: Path, programs: dict[str, bytes], environment: dict[str, str], tag: str = "latest") -> None:
    """An OCI layout at `target` with one multi-architecture image."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "blobs" / "sha256").mkdir(parents=True)

    def blob(content: bytes, media: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (target / "blobs" / "sha256" / digest).write_bytes(content)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

    def as_json(value: Any, media: str) -> dict[str, Any]:
        return blob(json.dumps(value, sort_keys=True).encode(), media)

    def manifest(architecture: str, program: bytes) -> dict[str, Any]:
        layer, packed = _layer(program)
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": ["/stub"], "Env": [f"{k}={v}" for k, v in sorted(environment.items())]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        body = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": as_json(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(packed, "application/vnd.oci.image.layer.v1.tar+gzip")],
        }
        made = as_json(body, "application/vnd.oci.image.manifest.v1+json")
        return {**made, "platform": {"architecture": architecture, "os": "linux"}}

    index_type = "application/vnd.oci.image.index.v1+json"
    manifests = [manifest(architecture, program) for architecture, program in programs.items()]
    index = as_json({"schemaVersion": 2, "mediaType": index_type, "manifests": manifests}, index_type)
    named = {**index, "annotations": {"org.opencontainers.image.ref.name": tag}}
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (target / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


@cache
def _layer(program: bytes) -> tuple[bytes, bytes]:
    """The layer's tar, plain and packed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("stub")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue(), gzip.compress(buffer.getvalue(), 6, mtime=0)
