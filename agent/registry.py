"""A registry asked over its own protocol: how much would a pull bring."""

from __future__ import annotations

import base64
import json
import platform
from typing import Any

from agent.world import Ran, World

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1", "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1", "docker.distribution.manifest.v2",
    )
)  # fmt: skip


def size(world: World, image: str, config: dict[str, Any], environment: dict[str, str]) -> int | None:
    """Compressed bytes of an image `host/name@digest` on this machine's architecture; None when the registry does not
    say."""
    host, _, rest = image.partition("/")
    name, _, reference = rest.partition("@")
    login = _login(world, host, config, environment)
    if login is None:
        return None
    headers = {"Accept": MANIFESTS, "Authorization": f"Basic {login}"}
    for _ in range(2):
        status, body = world.fetch(f"https://{host}/v2/{name}/manifests/{reference}", headers)
        if status != 200:
            return None
        manifest = json.loads(body)
        if "manifests" not in manifest:
            return sum(layer["size"] for layer in manifest.get("layers", []))
        ours = ARCHITECTURES.get(platform.machine())
        choices = [m["digest"] for m in manifest["manifests"] if m.get("platform", {}).get("architecture") == ours]
        if not choices:
            return None
        reference = choices[0]
    return None


def login_fault(world: World, host: str, config: dict[str, Any]) -> str:
    """What is wrong with the login that Docker's configuration has for a registry; "" when the registry takes it."""
    login = _login(world, host, config, {})
    if login is None:
        return "no login can be had"
    status, _ = world.fetch(f"https://{host}/v2/", {"Authorization": f"Basic {login}"}, timeout=5)
    return "" if status == 200 else f"it answered {status}" if status else "it does not answer"


def _login(world: World, host: str, config: dict[str, Any], environment: dict[str, str]) -> str | None:
    """The registry's login as HTTP wants it, by Docker's own configuration."""
    if known := config.get("auths", {}).get(host, {}).get("auth"):
        return known
    helper = config.get("credHelpers", {}).get(host)
    ran = _helped(world, helper, host, environment) if helper else None
    if ran is None or ran.code != 0:
        return None
    try:
        said = json.loads(ran.output)
    except ValueError:
        return None
    return base64.b64encode(f"{said['Username']}:{said['Secret']}".encode()).decode()


def _helped(world: World, helper: str, host: str, environment: dict[str, str]) -> Ran:
    return world.run(f"docker-credential-{helper}", "get", stdin=host, timeout=30, environment=environment)
