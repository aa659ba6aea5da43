"""Images of other registries, in the one registry that stands for all of them: those that lab.yaml names, else the
originals if this machine can reach them."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from catalogue.service import Image
from infra.writing import open_for_append
from lab import machine, registry, tools
from lab.images import build_programs
from lab.products import PROGRAMS, packages_of, read
from lab.run import find_program, run, succeeds
from lab.say import LabError, step
from lab.settings import CACHE, ELSEWHERE, PROJECT, Lab
from lab.stubs import catalogue, derive_stubs

STUB = "stub"
ASKED = 30.0  # seconds until an original's registry has answered


def start(lab: Lab) -> None:
    """Starts the registry if it is not running. Images published earlier are still there."""
    if not registry.daemon(lab, ELSEWHERE).alive:
        registry.start_in(lab, ELSEWHERE)


def fill(lab: Lab, foreign_images: Sequence[Image]) -> None:
    """Provides the images of other registries that the catalogue names. Raises LabError that lists unavailable ones."""
    if not foreign_images:
        return
    start(lab)
    absent = [missing for image in foreign_images if (missing := _bring(lab, image))]
    if absent:
        choice = "SOURCE is an image of this machine's Docker, ./FOLDER with a Dockerfile, or stub"
        raise LabError(
            "\n".join(
                [
                    "these images are not available here:",
                    *absent,
                    f"For each, add NAME: SOURCE under images: in lab.yaml; {choice}",
                ]
            )
        )


def _bring(lab: Lab, image: Image) -> str:
    """Puts an image into the registry; returns "" or a line with the reason why it is not available."""
    name = image.name.partition("/")[2]
    own_source = PROJECT.extras.images.get(image.name)
    if registry.manifest(lab, ELSEWHERE, image.repository.partition("/")[2], image.digest or image.tag or "latest"):
        return ""
    if own_source and image.digest:
        return (
            f"  - {image.name}: a digest names the original image only: use a tag in the catalogue to use another image"
        )
    if own_source == STUB:
        facts = derive_stubs(catalogue())[image.repository]
        registry.push_stub(lab, ELSEWHERE, name, facts, build_programs())
    elif own_source:
        registry.push_image(lab, ELSEWHERE, local(own_source), name)
    else:
        return _original(lab, image, name)
    return ""


def _original(lab: Lab, image: Image, name: str) -> str:
    skopeo = find_program("skopeo") or "skopeo"
    try:
        run(skopeo, "inspect", "--raw", f"docker://{image.name}", timeout=ASKED)
        with step(f"copying {image.name} from its registry", usual=60):
            registry.push_image(lab, ELSEWHERE, f"docker://{image.name}", name)
    except LabError as error:
        return f"  - {image.name}: {str(error)[-200:]}"
    return ""


def local(source: str) -> str:
    """An image of lab.yaml as skopeo names it; a folder's image is built first. Raises LabError."""
    if source.startswith("./"):
        source = build_image(PROJECT.root / source[2:])
    elif not succeeds("docker", "image", "inspect", source):
        fault = f"this machine's Docker has no image {source}"
        raise LabError(f"lab.yaml: images: {fault}: build or pull it, and run again")
    return f"docker-daemon:{source}"


def build_image(folder: Path, note: str = "", version: str = "") -> str:
    """The image of a folder with a Dockerfile; its BASE is a bare Debian. With another `note` it is another image. Of
    Python's packages `version` names the file in the folder's requirements/."""
    if not (folder / "Dockerfile").is_file():
        raise LabError(f"lab.yaml: images: {folder} has no Dockerfile")
    name = f"watchme-lab-{folder.resolve().name.lower()}:{_pin(folder, f'{version}{note}')}"
    if not succeeds("docker", "image", "inspect", name):
        with step(f"building {folder.name}", usual=60):
            context = CACHE / f"{folder.name}-context"
            shutil.rmtree(context, ignore_errors=True)
            shutil.copytree(folder, context)
            _program(folder, context)
            if version:
                pinned = folder / "requirements" / f"{version}.txt"
                packages = packages_of(pinned, f"{folder.name}-{version}", "--require-hashes")
                shutil.copytree(packages, context / "site", ignore=shutil.ignore_patterns("__pycache__"))
            with open_for_append(context / "Dockerfile") as file:
                file.write(f'LABEL note="{note}"\n'.encode() if note else b"")
            machine.build(context, name, {"BASE": machine.BARE_IMAGE})
    return name


def publish(lab: Lab, product: str, name: str, note: str = "", version: str = "") -> None:
    """Builds a product of `lab/programs/` and publishes it under a name, REPOSITORY:TAG."""
    built = build_image(PROGRAMS / product, note, version)
    registry.push_image(lab, ELSEWHERE, f"docker-daemon:{built}", name)


def _program(folder: Path, context: Path) -> None:
    """What an image has that is no package of Debian's: a program out of a pinned module of lab/tools."""
    if (folder / "program.yaml").exists():
        module = read(folder).module
        if module:
            built = tools.build(module.name, module.package, module.name, usual=90)
            shutil.copy(built, context / module.name)


def _pin(folder: Path, note: str) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(folder)} {path.stat().st_mode & 0o777:o}".encode() for path in files]
    contents = [path.read_bytes() for path in files]
    return hashlib.sha256(b"\0".join([note.encode(), *parts, *contents])).hexdigest()[:12]
