"""A host in memory whose registry has artefacts. It runs on every Python that the agent runs on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from agent import artefacts, trees
from tests.agent.fake import FakeWorld

REGISTRY = "1.dkr.ecr.ap-northeast-1.amazonaws.com"
AMD64 = ("amd64",)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class ParcelWorld(FakeWorld):
    """`blobs` are by digest, `faults` what a download ends with before it goes well. An archive is a JSON text: path
    below the artefact → content."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    refuses: int = 0  # the status of every answer of the registry
    asked: list[str] = field(default_factory=list)

    def publish(
        self, repository: str, files: dict[str, str], architectures: tuple[str, ...] = AMD64, again=False, **layer
    ) -> str:
        """Pushes an artefact, with `again` its layer twice; its reference. `layer` is what else is said of that."""
        blob = self._put(json.dumps(files).encode())
        kind = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **layer}
        entry = {"digest": blob, "size": len(self.blobs[blob]), **kind}
        layers = [entry, entry] if again else [entry]
        manifest = self._json({"layers": layers, "annotations": {artefacts.UNPACKED: "7"}})
        entries = [{"digest": manifest, "platform": {"architecture": name}} for name in architectures]
        return f"{REGISTRY}/{repository}@{self._json({'manifests': entries})}"

    def _put(self, content: bytes) -> str:
        self.blobs[digest(content)] = content
        return digest(content)

    def _json(self, value) -> str:
        return self._put(json.dumps(value).encode())

    def fetch(self, url, headers, method="GET", body=None, timeout=20):
        self.asked.append(url)
        found = self.blobs.get(url.rsplit("/", 1)[1])
        if self.refuses or found is None:
            return self.refuses or 404, b""
        return 200, found

    def download(self, url, authorization, path, size):
        self._change(takes_space=True)
        self.asked.append(url)
        if self.faults:
            return self.faults.pop(0)
        self.files[path] = (self.blobs[url.rsplit("/", 1)[1]][:size], 0o600, "root", "root")
        return ""

    def digest_of(self, path):
        return digest(self.files[path][0])

    def unpack(self, archive, folder, most):
        inside = json.loads(self.files[archive][0])
        if sum(map(len, inside.values())) > most:
            raise trees.Unfit("there is no space for its content")
        for name, text in inside.items():
            self._change(takes_space=True)
            self.files[f"{folder}/{name}"] = (text.encode(), 0o755, "root", "root")

    def tree(self, folder):
        own = {path: file[0] for path, file in self.files.items() if path.startswith(f"{folder}/")}
        below = {path[len(folder) + 1 :]: content for path, content in own.items()}
        return {name: f"0 755 {len(content)} {digest(content)}" for name, content in below.items()}

    def exists(self, path):
        return super().exists(path) or any(name.startswith(f"{path}/") for name in self.files)
