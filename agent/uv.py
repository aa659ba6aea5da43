"""uv, which makes environments of Python: one version, out of its wheel, whose hash stands here; kept on the host."""

from __future__ import annotations

import html
import io
import re
import zipfile
from urllib.parse import urljoin

from agent import quoting, registry
from agent.outcome import Refused
from agent.world import World

# As in requirements-uv.txt: architecture → wheel, its SHA-256 and its bytes
VERSION = "0.13.8"
WHEELS = {
    "amd64": (
        f"uv-{VERSION}-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984", 17389450,
    ),
    "arm64": (
        f"uv-{VERSION}-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d", 17953056,
    ),
}  # fmt: skip
INSIDE = f"uv-{VERSION}.data/scripts/uv"
# Every account may run what is there
PLACE = "/opt/infra/uv"
PYPI = "https://pypi.org/simple"
# What a uv of the host's own has to know
NEEDED = ("--frozen", "--no-install-workspace", "--no-default-groups", "--compile-bytecode")


def bring(world: World, index: str) -> str:
    """The path of uv. It is fetched once, from the index or the directory that packages come from ("": PyPI); where it
    cannot be, the host's own serves, if it knows what is needed. Raises Refused."""
    program = f"{PLACE}/{VERSION}/uv"
    if world.exists(program):
        return program
    try:
        content = _binary(world, index)
    except Refused:
        if own := _own(world):
            return own
        raise
    # Earlier versions are used by nothing
    world.remove_tree(PLACE)
    for folder in (PLACE, f"{PLACE}/{VERSION}"):
        world.directory(folder, 0o755, "root", "root")
    world.write(program, content, 0o755, "root", "root")
    return program


def _binary(world: World, index: str) -> bytes:
    ours = registry.architecture(world)
    if ours not in WHEELS:
        raise Refused(f"there is no uv {VERSION} for {ours} that is known here: install uv on this host, and run again")
    name, sha256, size = WHEELS[ours]
    place = f"{PLACE}/{name}"
    if index.startswith("/"):
        place = f"{index}/{name}"
        if not world.exists(place):
            raise Refused(f"{name} is not in {index}, and this host has no uv of its own: put it there, and run again")
    else:
        url = _address(world, index or PYPI, name)
        world.directory(PLACE, 0o755, "root", "root")
        if why := world.download(url, "", place, size):
            raise Refused(f"uv cannot be fetched from {index or PYPI}: {quoting.quote(why)}. Run again")
    if world.digest_of(place) != f"sha256:{sha256}":
        if not index.startswith("/"):
            world.remove(place)
        raise Refused(f"{name} has another hash than it should: it was damaged in transfer or replaced; run again")
    with zipfile.ZipFile(io.BytesIO(world.read(place) or b"")) as wheel:
        return wheel.read(INSIDE)


def _address(world: World, index: str, name: str) -> str:
    """Where an index has the wheel (PEP 503). Raises Refused."""
    page = f"{index}/uv/"
    status, content = world.fetch(page, {"Accept": "text/html"})
    if status != 200:
        answer = f"answers {status}" if status else "does not answer"
        raise Refused(
            f"the index {index} {answer} when it is asked for uv: may this host reach it? `index` of the service's "
            "python names another one, or a directory with wheels"
        )
    links = re.findall(r"""href\s*=\s*["']([^"'#]+)""", content.decode(errors="replace"))
    for link in map(html.unescape, links):
        if link.partition("?")[0].rsplit("/", 1)[-1] == name:
            return urljoin(page, link)
    raise Refused(f"the index {index} does not have {name}: put it there, or install uv on this host, and run again")


def _own(world: World) -> str:
    """A uv of the host's own that knows what is needed; "" where there is none."""
    if not world.has_command("uv"):
        return ""
    ran = world.run("uv", "sync", "--help", timeout=60)
    return "uv" if ran.code == 0 and all(option in ran.output for option in NEEDED) else ""
