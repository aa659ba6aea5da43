"""What a registry answers about images and artefacts, as far as the agent reads it."""

from __future__ import annotations

from typing import TypedDict


class Layer(TypedDict):
    """`size` are its compressed bytes."""

    digest: str
    size: int
    mediaType: str


class _AnyManifest(TypedDict):
    layers: list[Layer]


class ImageManifest(_AnyManifest, total=False):
    annotations: dict[str, str] | None
