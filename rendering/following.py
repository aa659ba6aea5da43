"""Tags that a host follows by itself: its list of them, and the timer that asks the registry (agent/tags.py)."""

import json
from typing import TypedDict

from catalogue.loading import Catalogue
from catalogue.services import ComposeService
from rendering.compose import UNITS
from rendering.files import File, HostFiles, Unit
from rendering.templates import fill

UNIT = "infra-tags.timer"
CONFIG = "/etc/infra/tags.json"
EVERY = 30  # seconds


class FollowedTag(TypedDict):
    """An entry of the list: a tag of an image `host/name`, and the services that follow it."""

    image: str
    tag: str
    services: list[str]


def followers(catalogue: Catalogue, host: str) -> list[ComposeService]:
    """The services of a host that are to follow a tag, those that were pinned meanwhile among them."""
    services = [service for system in catalogue.systems_on(host) for service in system.compose_services]
    return [service for service in services if service.deploy]


def timer(catalogue: Catalogue, host: str) -> HostFiles:
    """What a host that has such services runs once for all of them. An image that one of them was pinned to with `infra
    deploy` stays for all; the timer stays too, so that pinning changes no unit."""
    services = followers(catalogue, host)
    if not services:
        return HostFiles("")
    stack = catalogue.stack
    source = f"Pulumi.{stack.name}.yaml"
    pinned = {service.image.repository for service in services if service.image.digest}
    followed: dict[str, FollowedTag] = {}
    for service in [service for service in services if service.image.repository not in pinned]:
        image = f"{stack.registry}/{service.image.repository}"
        entry = followed.setdefault(image, {"image": image, "tag": service.followed_tag, "services": []})
        entry["services"].append(service.name)
    config = json.dumps([followed[image] for image in sorted(followed)], indent=2) + "\n"
    units = [
        File(f"{UNITS}/infra-tags.{kind}", fill(f"infra-tags.{kind}.j2", source, every=EVERY))
        for kind in ("service", "timer")
    ]
    return HostFiles(
        "", files=[*units, File(CONFIG, config.encode())], units=[Unit(UNIT, [file.path for file in units])]
    )
