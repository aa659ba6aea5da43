"""An image on disk, in the layout of the OCI image specification: what skopeo copies into a registry."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Layer:
    """A packed layer: its blob's digest and size in bytes, and `diff_id`, the digest of its tar."""

    digest: str
    size: int
    diff_id: str


class Descriptor(TypedDict):
    """What names a blob (OCI image spec, descriptor)."""

    mediaType: str
    digest: str
    size: int


class Platform(TypedDict):
    architecture: str
    os: str


class ImageDescriptor(Descriptor):
    platform: Platform


class Layout:
    """A folder that holds one image for several architectures. Blobs come first, then images, then `finish`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs = folder / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)
        self._images: list[ImageDescriptor] = []

    def blob_path(self, digest: str) -> Path:
        return self._blobs / digest.removeprefix("sha256:")

    def add_layer(self, tar: bytes, packed: bytes) -> Layer:
        """A layer that is at hand: its tar, and the same with gzip."""
        digest = _digest(packed)
        self.blob_path(digest).write_bytes(packed)
        return Layer(digest, len(packed), _digest(tar))

    def add_image(
        self, architecture: str, layer: Layer, config: Mapping[str, Any], annotations: Mapping[str, str] | None = None
    ) -> None:
        """An image of one layer; `config` is its own part of the configuration, such as Entrypoint."""
        whole = {
            "architecture": architecture, "os": "linux", "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        }  # fmt: skip
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self._json(whole, CONFIG),
            "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size}],
            **({"annotations": dict(annotations)} if annotations else {}),
        }  # fmt: skip
        platform: Platform = {"architecture": architecture, "os": "linux"}
        self._images.append({**self._json(manifest, MANIFEST), "platform": platform})

    def finish(self, tag: str) -> str:
        """Writes the index; its digest is the image's."""
        index = self._json({"schemaVersion": 2, "mediaType": INDEX, "manifests": self._images}, INDEX)
        tagged = {**index, "annotations": {"org.opencontainers.image.ref.name": tag}}
        (self._folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [tagged]}))
        (self._folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return index["digest"]

    def _json(self, value: object, media: str) -> Descriptor:
        content = json.dumps(value, sort_keys=True).encode()
        digest = _digest(content)
        self.blob_path(digest).write_bytes(content)
        return {"mediaType": media, "digest": digest, "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
