"""Commands that a release runs before its switch, each in a container like its service's."""

import hashlib
import json
from collections.abc import Iterable

from catalogue.compose.bodies import ComposeFile
from catalogue.compose.names import project_name
from catalogue.compose.steps import ReleaseStep
from catalogue.models import ContainerNetwork, System
from catalogue.rules.steps import PREFIX
from catalogue.services import ComposeService
from catalogue.stack import Stack
from rendering import compose
from rendering.files import Step
from rendering.places import environment_path, file_path, in_order, needs, places, secret_path

# In memory: environment files hold secrets
STAGED = "/run/infra/steps"
# By which an agent finds the container of one that was killed
LABEL = "infra.step"


def steps(system: System, network: ContainerNetwork, stack: Stack, digests: compose.Digests) -> list[Step]:
    """The steps in the order in which they run: those of a service come after those of its dependencies."""
    return [
        _step(system, service, step, network, compose.full_name(step.image or service.image, stack, digests))
        for service in in_order(system)
        for step in service.release
    ]


def _step(system: System, service: ComposeService, step: ReleaseStep, network: ContainerNetwork, image: str) -> Step:
    own = {name: value for name, value in step if name in ("command", "entrypoint", "user") and value}
    # An image's own command is run by its own entrypoint, and not by the service's
    bare = {"command": None, "entrypoint": None} if step.image else {"command": None}
    # The file holds the service's own values, and what the step says goes over it
    like = service.model_copy(update={**bare, **own, "health": "running"})
    name = f"{PREFIX}{service.container}-{step.name}"
    place = f"{STAGED}/{name}"
    environment_file = environment_path(service)
    files = [file_path(service, file.path) for file in service.files]
    files += [secret_path(service, path) for path in service.secret_files]
    staged = f"{place}{environment_file}" if environment_file else None
    body = compose.body(like, image, places(service)[0].unit, staged, place)
    if step.environment:
        body["environment"] = {**body.get("environment", {}), **compose.writing.escape_dollars(step.environment)}
    body["labels"] |= {LABEL: name}
    volumes = list(dict.fromkeys(service.volume_names))
    document: ComposeFile = {
        "services": {step.name: {**body, **compose.network_settings(service, network, {})}},
        "networks": {network.name: {"external": True}},
    }
    if volumes:
        document["volumes"] = {volume: {"external": True} for volume in volumes}
    prerequisites = needs(system, service)
    return Step(
        service.name,
        step.name,
        " ".join([*(step.entrypoint or []), *(step.command or [])]) or image,
        name,
        project_name(name),
        prerequisites,
        network.unit,
        compose.text_of(document),
        place,
        [*([environment_file] if environment_file else []), *files],
        volumes,
        [mount.source for mount in service.volumes if mount.type == "bind" and mount.source],
        step.seconds,
        _key(system, service, step, image, prerequisites),
    )


def _key(system: System, service: ComposeService, step: ReleaseStep, image: str, needs: Iterable[str]) -> str:
    """The key by which a step runs once: a hash of its image, command and data, without the registry's name."""
    concerned = [other for other in system.compose_services if other.name == service.name or other.name in needs]
    mounts = [[other.name, mount.target, mount.source] for other in concerned for mount in other.data_mounts]
    whole = [
        system.system, service.name, step.name, image.partition("/")[2], step.entrypoint, step.command, step.user,
        step.environment, mounts,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]
