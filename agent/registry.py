"""A registry asked over its own protocol: how much would a pull bring, and for which architectures is it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import cast

from agent.documents.docker import ClientConfig
from agent.documents.registries import ImageManifest
from agent.wording import phrase
from agent.world import CommandResult, World

# As the kernel calls a machine → as images do
ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "ppc64le": "ppc64le", "s390x": "s390x",
    "riscv64": "riscv64",
}  # fmt: skip
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1", "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1", "docker.distribution.manifest.v2",
    )
)  # fmt: skip


def architecture(world: World) -> str:
    """The host's, as images name it."""
    machine = world.architecture()
    return ARCHITECTURES.get(machine, machine)


@dataclass(frozen=True)
class Offer:
    """What a registry has under an image's name, as far as it says. `size` are the compressed bytes for one
    architecture, `architectures` those that there are images for."""

    size: int | None = None
    architectures: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RegistryAnswer:
    """What a registry answered about an image: the manifest for one architecture, or what is wrong; `architectures` are
    those that an index has. What `may_pass` is the registry's trouble and not the image's: of a new role, for one, its
    rights are not known everywhere at once."""

    manifest: ImageManifest | None = None
    architectures: frozenset[str] = frozenset()
    fault: str = ""
    may_pass: bool = False


def offer(world: World, image: str, architecture: str, config: ClientConfig, environment: dict[str, str]) -> Offer:
    """Asks for an image `host/name@digest`. An image that is no index names its architecture only to those who pull
    it."""
    login = login_for(world, image.partition("/")[0], config, environment)
    if login is None:
        return Offer()
    present = look_up(world, image, architecture, login)
    if present.manifest is None:
        return Offer(None, present.architectures)
    return Offer(sum(layer["size"] for layer in present.manifest.get("layers", [])), present.architectures)


def look_up(world: World, image: str, architecture: str, login: str) -> RegistryAnswer:
    """The manifest of an image `host/name@digest`, each step of the way held against its digest."""
    host, _, rest = image.partition("/")
    name, _, reference = rest.partition("@")
    headers = {"Accept": MANIFESTS, "Authorization": f"Basic {login}"}
    architectures: frozenset[str] = frozenset()
    for _ in range(2):
        status, body = world.fetch(f"https://{host}/v2/{name}/manifests/{reference}", headers)
        if status != 200:
            answer = f"answers {status}" if status else "does not answer"
            return RegistryAnswer(None, architectures, f"its registry {answer}", may_pass=status != 404)
        if not is_of(body, reference):
            return RegistryAnswer(None, architectures, "its registry answered with other content than requested")
        try:
            manifest = json.loads(body)
            if "manifests" not in manifest:
                return RegistryAnswer(cast("ImageManifest", dict(manifest)), architectures)
            entries = [(m.get("platform", {}).get("architecture", ""), str(m["digest"])) for m in manifest["manifests"]]
            choices = dict(reversed(entries))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return RegistryAnswer(None, architectures, "the answer of its registry cannot be read")
        # An index has entries that are no images, such as attestations
        architectures = frozenset(choices) - {"", "unknown"}
        if architecture not in choices:
            return RegistryAnswer(None, architectures, f"it has nothing for {architecture}")
        reference = choices[architecture]
    return RegistryAnswer(None, architectures, "its registry has an index inside an index")


def under_tag(world: World, image: str, tag: str, login: str) -> tuple[int, str]:
    """The status that a registry answers about a tag of an image `host/name`, and the digest that the tag means: of its
    manifest as it came, which is a few kilobytes. Asked once, and not for long."""
    host, _, name = image.partition("/")
    headers = {"Accept": MANIFESTS, "Authorization": f"Basic {login}"}
    status, body = world.fetch(f"https://{host}/v2/{name}/manifests/{tag}", headers, timeout=5)
    return status, f"sha256:{hashlib.sha256(body).hexdigest()}" if status == 200 else ""


def is_of(body: bytes, digest: str) -> bool:
    return f"sha256:{hashlib.sha256(body).hexdigest()}" == digest


def login_fault(world: World, host: str, config: ClientConfig) -> str:
    """What is wrong with the login that Docker's configuration has for a registry; "" when the registry takes it."""
    login = login_for(world, host, config, {})
    if login is None:
        return phrase("no login is available")
    status, _ = world.fetch(f"https://{host}/v2/", {"Authorization": f"Basic {login}"}, timeout=5)
    if status == 200:
        return ""
    return phrase("it answered {status}", status=status) if status else phrase("it does not answer")


def login_for(world: World, host: str, config: ClientConfig, environment: dict[str, str]) -> str | None:
    """The registry's login as HTTP wants it, by Docker's own configuration."""
    stored = config.get("auths", {}).get(host)
    # An empty entry stands for a login that a program keeps
    if stored and stored.get("auth"):
        return stored["auth"]
    helper = config.get("credHelpers", {}).get(host)
    ran = _ask_helper(world, helper, host, environment) if helper else None
    if ran is None or ran.code != 0:
        return None
    try:
        answer = json.loads(ran.output)
    except ValueError:
        return None
    return base64.b64encode(f"{answer['Username']}:{answer['Secret']}".encode()).decode()


def _ask_helper(world: World, helper: str, host: str, environment: dict[str, str]) -> CommandResult:
    return world.run(f"docker-credential-{helper}", "get", stdin=host, timeout=30, environment=environment)
