"""What the images of a release say of how they were built, by their labels (the OCI Image Format's annotations)."""

from __future__ import annotations

import json
from contextlib import suppress

from agent import store
from agent.documents.manifest import Manifest
from agent.world import World

LABELS = {
    "org.opencontainers.image.revision": "commit", "org.opencontainers.image.version": "version",
    "org.opencontainers.image.created": "created",
}  # fmt: skip
FORM = "{{json .RepoDigests}} {{json .Config.Labels}}"
LONGEST = 80  # characters of one
PATIENCE = 20  # seconds for Docker


def of_release(world: World, manifest: Manifest) -> dict[str, dict[str, str]]:
    """Service → what its image says; none of one that says nothing, or that Docker cannot say."""
    said = _said(world, store.images_of(manifest))
    found = {
        name: [said[image] for image in images if image in said] for name, images in store.by_service(manifest).items()
    }
    return {name: entries[0] for name, entries in found.items() if entries}


def _said(world: World, images: list[str]) -> dict[str, dict[str, str]]:
    if not images:
        return {}
    # One that is not there is no reason to say nothing of the others
    output = world.run("docker", "image", "inspect", "--format", FORM, *images, timeout=PATIENCE).output
    found: dict[str, dict[str, str]] = {}
    for line in output.splitlines():
        with suppress(ValueError, TypeError, AttributeError):
            decoder = json.JSONDecoder()
            digests, end = decoder.raw_decode(line)
            labels = json.loads(line[end:]) or {}
            entry = {LABELS[key]: str(value)[:LONGEST] for key, value in labels.items() if key in LABELS and value}
            found.update(dict.fromkeys(digests or [], entry) if entry else {})
    return found
