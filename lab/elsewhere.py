"""Products of others as their registries have them: built here out of packages and modules, and published in the
registry that stands for Docker Hub and the like."""

import hashlib
import shutil
from pathlib import Path

from lab import machine, registry, tools
from lab.run import succeeds
from lab.say import step
from lab.settings import CACHE, ELSEWHERE, ROOT, Lab

PROGRAMS = ROOT / "lab" / "programs"


def start(lab: Lab) -> None:
    """The registry, where it does not run yet. What was published before is there."""
    if not registry.daemon(lab, ELSEWHERE).alive:
        registry.start_in(lab, ELSEWHERE)


def publish(lab: Lab, product: str, repository: str, tag: str, note: str = "") -> None:
    """Builds a product of `lab/programs/` and publishes it; with another `note` it is another image."""
    name = f"watchme-lab-{product}:{_pin(product, note)}"
    if not succeeds("docker", "image", "inspect", name):
        with step(f"building {product}", usual=60):
            context = CACHE / f"{product}-context"
            shutil.rmtree(context, ignore_errors=True)
            shutil.copytree(PROGRAMS / product, context)
            _program(product, context)
            with (context / "Dockerfile").open("a") as file:
                file.write(f'LABEL note="{note}"\n' if note else "")
            machine.build(context, name, {"BASE": machine.BARE_IMAGE})
    registry.push_image(lab, ELSEWHERE, f"docker-daemon:{name}", f"{repository}:{tag}")


def _program(product: str, context: Path) -> None:
    """What a product's image has that is no package of Debian's."""
    if product == "miniflux":
        shutil.copy(tools.build("miniflux", "miniflux.app/v2", "miniflux", usual=90), context / "miniflux")


def _pin(product: str, note: str) -> str:
    files = sorted(path for path in (PROGRAMS / product).rglob("*") if path.is_file())
    return hashlib.sha256(b"\0".join([note.encode(), *(path.read_bytes() for path in files)])).hexdigest()[:12]
