"""Images of other registries: what the stack has of them, what is under their tag now, and which versions are newer."""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import boto3

from catalogue.loading import Catalogue
from infra.errors import InfraError
from infra.mirror import mirror_image
from infra.move.steps.images import login, registry
from infra.skopeo import Copier
from rendering.mirrors import copy_request

VERSION = re.compile(r"v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,5})(.*)")


@dataclass(frozen=True)
class ImageVersions:
    """An image's digest in the stack's registry ("" where it is not), under its tag in its own now, and the newest
    tags of its kind: of the same major version, and of all."""

    name: str
    here: str
    there: str
    newer: list[str]

    @property
    def line(self) -> str:
        parts = [f"here {self.here[:19]}" if self.here else "not here yet: pulumi up copies it"]
        if self.here and self.there and self.here != self.there:
            parts.append(f"rebuilt since, {self.there[:19]}: infra images --update {self.name}")
        if not self.there:
            parts.append("not in its own registry any more")
        parts += [f"newer: {', '.join(self.newer)}"] if self.newer else []
        return f"{self.name}: {'; '.join(parts)}"


def look(catalogue: Catalogue) -> list[ImageVersions]:
    """Asks the stack's registry and theirs. Raises InfraError."""
    stack = catalogue.stack
    with tempfile.TemporaryDirectory() as folder:
        copier = _copier(catalogue, Path(folder))
        return [
            ImageVersions(
                image.name,
                copier.digest(f"docker://{stack.registry}/{image.name}") or "",
                copier.digest(f"docker://{image.name}") or "",
                newer(image.tag or "", copier.tags(f"docker://{image.repository}")),
            )
            for image in catalogue.foreign_images
        ]


def update(catalogue: Catalogue, name: str) -> str:
    """Copies what is under an image's tag now; a line that says so. Raises InfraError."""
    stack = catalogue.stack
    image = next((image for image in catalogue.foreign_images if image.name == name), None)
    if image is None:
        names = ", ".join(other.name for other in catalogue.foreign_images) or "none"
        raise InfraError(f"the stack has no image {name!r} of another registry; it has: {names}")
    with tempfile.TemporaryDirectory() as folder:
        digest = _copier(catalogue, Path(folder)).digest(f"docker://{name}")
    if digest is None:
        raise InfraError(f"{name} is not in its registry any more: take another tag in the catalogue")
    request = copy_request(stack, image, digest)
    _, is_new = mirror_image(request, lambda line: None)
    state = (
        f"is in {stack.region} now; pulumi up --stack {stack.name} releases it"
        if is_new
        else "was already in the registry"
    )
    return f"{name}: {digest} {state}"


def _copier(catalogue: Catalogue, folder: Path) -> Copier:
    stack = catalogue.stack
    host = registry(stack.accountId, stack.region)
    auths = {host: {"auth": login(boto3.Session(), stack.accountId, stack.region)}}
    return Copier(folder, auths, stack.registry_logins)


def newer(tag: str, tags: list[str]) -> list[str]:
    """The newest tags that are versions in the same way as `tag`: of its major version, and of all."""
    own = VERSION.fullmatch(tag)
    if own is None:
        return []
    alike = [match for other in tags if (match := VERSION.fullmatch(other)) and _is_alike(match, own)]
    later = [match for match in alike if _numbers(match) > _numbers(own)]
    same = [match for match in later if _numbers(match)[0] == _numbers(own)[0]]
    best = [max(group, key=_numbers)[0] for group in (same, later) if group]
    return list(dict.fromkeys(best))


def _is_alike(tag: re.Match[str], other: re.Match[str]) -> bool:
    return tag[2] == other[2] and len(_numbers(tag)) == len(_numbers(other))


def _numbers(tag: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(part) for part in tag[1].split("."))


def as_json(entries: list[ImageVersions]) -> str:
    return json.dumps([vars(entry) for entry in entries], indent=2)
