"""Which images a registry keeps: the newest, and all that releases use, however many were pushed later."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.documents.manifest import Manifest

# An index of two architectures counts as three images
NEWEST = 60
PREFIX = "infra-"
# Never reached: that rule is there for what it spares, since an image that it matches is expired by no later one
UNREACHED = 9999
LONGEST = 128  # characters of a tag
# What it takes to tag them
RIGHTS = "ecr:ListImages, ecr:BatchGetImage, ecr:PutImage and ecr:BatchDeleteImage"
REFERENCE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)@(?P<digest>sha256:[0-9a-f]{64})"
)


@dataclass(frozen=True, order=True)
class Image:
    """An image of a region's ECR, as a release names it."""

    account: str
    region: str
    repository: str
    digest: str


def images_in_ecr(references: Iterable[str]) -> list[Image]:
    """The images of those references that name one in ECR by digest."""
    matches = (REFERENCE.fullmatch(reference) for reference in references)
    return sorted({Image(**match.groupdict()) for match in matches if match})


def images_of(manifest: Manifest) -> list[str]:
    """References of the images and artefacts that a release runs."""
    unpacked = {entry["image"] for entry in manifest.get("artefacts", [])}
    return sorted(unpacked | {image for unit in manifest["units"] for image in unit["images"]})


def owner(stack: str, host: str) -> str:
    """The prefix of the tags of a stack's host. A host's name has no dot, so that the prefix is unique."""
    longest = LONGEST - len(tag("", "sha256:")) - 12
    whole = f"{PREFIX}{stack}.{host}"
    if len(whole) <= longest:
        return whole
    return f"{PREFIX}{hashlib.sha256(whole.encode()).hexdigest()[:32]}.{host[: longest - 39]}"


def tag(owner: str, digest: str) -> str:
    """The tag of an image that this owner needs."""
    return f"{owner}.{digest.removeprefix('sha256:')[:12]}"


def is_of(owner: str, tag: str) -> bool:
    return re.fullmatch(rf"{re.escape(owner)}\.[0-9a-f]{{12}}", tag) is not None


def released_tag(digest: str) -> str:
    """The tag of an image that was released once and that no host needs any more: ECR deletes an image with its last
    tag, and only its age is to decide when it goes."""
    return f"released-{digest.removeprefix('sha256:')[:12]}"


def lifecycle() -> str:
    """ECR's rules for a repository (Amazon ECR user guide, "Automate the cleanup of images by using lifecycle
    policies"): what has a tag of a release stays, and of the rest the newest."""
    spared = {
        "tagStatus": "tagged",
        "tagPrefixList": [PREFIX],
        "countType": "imageCountMoreThan",
        "countNumber": UNREACHED,
    }
    rest = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": NEWEST}
    rules = [(spared, "keep what releases use"), (rest, f"keep the newest {NEWEST} images")]
    return json.dumps(
        {
            "rules": [
                {
                    "rulePriority": number,
                    "description": description,
                    "selection": selection,
                    "action": {"type": "expire"},
                }
                for number, (selection, description) in enumerate(rules, 1)
            ]
        }
    )
