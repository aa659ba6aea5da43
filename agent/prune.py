"""What no kept release needs goes, after a release is committed; never anything that one of them needs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from agent import artefacts, environments, shipping, store
from agent.world import World


def surplus(world: World, keep: int) -> list[str]:
    """Ids of the releases that are not kept: the oldest to serve, and those that never did."""
    served = store.returnable(world)
    ids_to_keep = {*served[:keep], store.current_id(world)}
    return [id for id in store.kept_ids(world) if id not in ids_to_keep]


def images_of(world: World, ids: list[str]) -> set[str]:
    return {image for id in ids for image in store.images_of(store.manifest(world, id))}


def needed_images(world: World) -> list[str] | None:
    """Images and artefacts that kept releases name; None where one of these releases cannot be read, and may need
    any."""
    if store.unreadable(world):
        return None
    kept_ids = store.kept_ids(world)
    unpacked = {entry["image"] for id in kept_ids for entry in store.manifest(world, id)["artefacts"]}
    return sorted(images_of(world, kept_ids) | unpacked)


def _unneeded_images(world: World, going: list[str], warn: Callable[[str], None]) -> set[str]:
    """Images of the releases that go and of no other. Where another one cannot be read, it may need any of them."""
    unreadable = store.unreadable(world)
    staying = [id for id in store.kept_ids(world) if id not in going]
    if unread := [id[:12] for id in staying if id in unreadable]:
        warn(f"no image is removed: the manifest of kept release {', '.join(unread)} cannot be read by this agent")
        return set()
    return images_of(world, [id for id in going if id not in unreadable]) - images_of(world, staying)


def prune(world: World, keep: int, warn: Callable[[str], None]) -> None:
    """Forgets releases beyond the `keep` latest, with their images, artefacts and environments; `warn` hears of an
    image that cannot be removed."""
    going = surplus(world, keep)
    unneeded = sorted(_unneeded_images(world, going, warn))
    failed = [image for image in unneeded if world.run("docker", "image", "rm", image).code != 0]
    for image in failed:
        if world.run("docker", "image", "inspect", image).code == 0:
            warn(f"could not remove the image {image}")
    for id in [*going, *store.partial(world)]:
        store.forget(world, id)
    artefacts.prune(world)
    environments.prune(world)
    if not world.exists(shipping.CONFIG) and world.exists(shipping.CURSOR):
        # Should logs be sent again one day, it is from then on
        world.remove(shipping.CURSOR)


def reclaimable(world: World) -> int:
    """Bytes of the images that no kept release needs; layers that two images share count twice."""
    return sum(size for size, _ in _sizes_of_unneeded(world))


def images(world: World) -> int:
    """Removes the images that no kept release needs and no container uses; the bytes that they had."""
    return sum(
        size for size, names in _sizes_of_unneeded(world) if world.run("docker", "image", "rm", *names).code == 0
    )


def _sizes_of_unneeded(world: World) -> list[tuple[int, list[str]]]:
    """Size and names of each image out of the releases' own registries: what else is on a machine is its owner's."""
    if store.unreadable(world):
        # One that cannot be read may need any of them
        return []
    ids = sorted(set(world.run("docker", "image", "ls", "-q", "--no-trunc", timeout=60).output.split()))
    releases = store.kept_ids(world)
    images = images_of(world, store.returnable(world))
    ours = tuple({f"{image.split('/')[0]}/" for image in images_of(world, releases)})
    if not ids or not ours:
        return []
    output = world.run("docker", "image", "inspect", "-f", "{{.Size}} {{json .RepoDigests}}", *ids, timeout=60).output
    lines = [line.split(" ", 1) for line in output.splitlines() if re.match(r"\d+ (\[|null)", line)]
    sizes: list[tuple[int, list[str]]] = [(int(size), json.loads(names) or []) for size, names in lines]
    return [
        (size, names)
        for size, names in sizes
        if names and not images & {*names} and all(n.startswith(ours) for n in names)
    ]
