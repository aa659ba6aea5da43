"""Brings uv's program out of its PyPI wheel; a bare Python without pip is enough. `get_uv.py VERSION DIRECTORY`."""

import hashlib
import io
import os
import platform
import re
import sys
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

MACHINES = {"x86_64": "manylinux_2_17_x86_64", "aarch64": "manylinux_2_17_aarch64"}


def wheel(version: str) -> tuple[str, str]:
    """Address and SHA-256 of the wheel for this machine, out of the package index (PEP 503)."""
    machine = MACHINES.get(platform.machine())
    if machine is None or sys.platform != "linux":
        sys.exit(f"uv: no wheel is known for {sys.platform} {platform.machine()}; install uv yourself and run again")
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/uv/"
    with urllib.request.urlopen(index, timeout=60) as answer:
        page = answer.read().decode()
    link = re.search(rf'href="([^"#]*/uv-{re.escape(version)}-[^"#]*{machine}[^"#]*)#sha256=([0-9a-f]{{64}})"', page)
    if link is None:
        sys.exit(f"uv: {index} has no uv {version} for {machine}; install uv yourself and run again")
    return urllib.parse.urljoin(index, link[1]), link[2]


def main(version: str, directory: Path) -> None:
    address, digest = wheel(version)
    with urllib.request.urlopen(address, timeout=120) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit("uv: the download is damaged; run again")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        program = archive.read(member)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / ".uv.part"
    temporary.write_bytes(program)
    temporary.chmod(0o755)
    temporary.rename(directory / "uv")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
