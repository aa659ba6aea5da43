"""The stub images: a static program in an OCI layout, both architectures, without a Docker build."""

import gzip
import hashlib
import io
import shutil
import tarfile
from functools import cache
from pathlib import Path

from infra.layout import Layout
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
    layout = Layout(target)
    config = {"Entrypoint": ["/stub"], "Env": [f"{k}={v}" for k, v in sorted(environment.items())]}
    for architecture, program in programs.items():
        layout.add_image(architecture, layout.add_layer(*_layer(program)), config)
    layout.finish(tag)


@cache
def _layer(program: bytes) -> tuple[bytes, bytes]:
    """The layer's tar, plain and packed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("stub")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue(), gzip.compress(buffer.getvalue(), 6, mtime=0)
