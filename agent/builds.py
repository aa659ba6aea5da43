"""What the images of a release say of how they were built, by their labels (the OCI Image Format's annotations)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from agent import store
from agent.documents.manifest import Manifest
from agent.world import World

LABELS = {
    "org.opencontainers.image.revision": "commit", "org.opencontainers.image.version": "version",
    "org.opencontainers.image.created": "created", "org.opencontainers.image.url": "run",
}  # fmt: skip
FORM = "{{json .RepoDigests}} {{json .Config.Labels}}"
LONGEST = 120  # characters of one
PATIENCE = 20  # seconds for Docker


def build_labels(world: World, manifest: Manifest) -> dict[str, dict[str, str]]:
    """Service → what its image says; none of one that says nothing, or that Docker cannot say."""
    return build_labels_of(world, {"": manifest})[""]


def build_labels_of(world: World, manifests: Mapping[str, Manifest]) -> dict[str, dict[str, dict[str, str]]]:
    """The same of several releases by their ids: Docker is asked once."""
    images = {image for manifest in manifests.values() for image in store.images_of(manifest)}
    labels_by_image = _build_labels(world, sorted(images))
    return {id: _by_service(manifest, labels_by_image) for id, manifest in manifests.items()}


def _by_service(manifest: Manifest, labels_by_image: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    entries = {
        name: [labels_by_image[image] for image in images if image in labels_by_image]
        for name, images in store.by_service(manifest).items()
    }
    return {name: labels[0] for name, labels in entries.items() if labels}


def _build_labels(world: World, images: list[str]) -> dict[str, dict[str, str]]:
    if not images:
        return {}
    # One that is not there is no reason to say nothing of the others
    output = world.run("docker", "image", "inspect", "--format", FORM, *images, timeout=PATIENCE).output
    labels_of: dict[str, dict[str, str]] = {}
    for line in output.splitlines():
        with suppress(ValueError, TypeError, AttributeError):
            decoder = json.JSONDecoder()
            digests, end = decoder.raw_decode(line)
            labels: dict[str, str] = json.loads(line[end:]) or {}
            entry = {LABELS[key]: str(value)[:LONGEST] for key, value in labels.items() if key in LABELS and value}
            labels_of.update(dict.fromkeys(digests or [], entry) if entry else {})
    return labels_of
