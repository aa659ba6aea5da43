"""What no kept release needs goes, after a release is committed; never anything that one of them needs."""

from collections.abc import Callable

from agent import store
from agent.world import World


def surplus(world: World, keep: int) -> list[str]:
    """Ids of the releases that are not kept: the oldest to serve, and those that never did."""
    served = [id for id in store.kept(world) if not store.never_served(world, id)]
    kept = {*served[:keep], store.current_id(world)}
    return [id for id in store.kept(world) if id not in kept]


def images_of(world: World, ids: list[str]) -> set[str]:
    return {image for id in ids for image in store.load(world, id).images}


def prune(world: World, keep: int, warn: Callable[[str], None]) -> None:
    """Forgets releases beyond the `keep` latest, and their images; `warn` hears of an image that cannot be removed."""
    going = surplus(world, keep)
    staying = [id for id in store.kept(world) if id not in going]
    unneeded = sorted(images_of(world, going) - images_of(world, staying))
    failed = [image for image in unneeded if world.run("docker", "image", "rm", image).code != 0]
    for image in failed:
        if world.run("docker", "image", "inspect", image).code == 0:
            warn(f"could not remove the image {image}")
    for id in going:
        store.forget(world, id)


def reclaimable(world: World) -> int:
    """Bytes of the images on this host that no kept release needs; layers that two images share count twice."""
    return sum(size for size, _ in _unneeded(world))


def images(world: World) -> int:
    """Removes the images that no kept release needs and no container uses; the bytes that they had."""
    return sum(size for size, id in _unneeded(world) if world.run("docker", "image", "rm", "--force", id).code == 0)


def _unneeded(world: World) -> list[tuple[int, str]]:
    """Size and id of each."""
    ids = sorted(set(world.run("docker", "image", "ls", "-q", "--no-trunc").output.split()))
    if not ids:
        return []
    needed = images_of(world, store.kept(world))
    shown = world.run("docker", "image", "inspect", "-f", '{{.Size}} {{.Id}} {{join .RepoDigests " "}}', *ids).output
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    return [(int(size), id) for size, id, *names in lines if not needed & {*names}]
