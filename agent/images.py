"""The images of a release: pulled while the old release serves, and what pulling changed."""

from concurrent.futures import ThreadPoolExecutor

from agent.outcome import Refused
from agent.world import Ran, World


def pull(world: World, images: list[str], had: dict[str, str]) -> dict[str, str]:
    """Image → id, after pulling all of them. `had` is what the last release ran.

    An image that cannot be pulled is used as it is here when the last release ran it; else Refused, naming all.
    """
    with ThreadPoolExecutor(4) as pool:
        pulled = dict(
            zip(images, pool.map(lambda image: world.run("docker", "pull", "-q", image), images), strict=True)
        )
    ids = {image: image_id(world, image) for image in images}
    missing = [image for image in images if pulled[image].code != 0 and (ids[image] is None or image not in had)]
    if missing:
        raise Refused(_missing(missing, pulled))
    return {image: id for image, id in ids.items() if id}


def image_id(world: World, image: str) -> str | None:
    ran = world.run("docker", "image", "inspect", "--format", "{{.Id}}", image)
    return ran.output.strip() if ran.code == 0 else None


def _missing(images: list[str], pulled: dict[str, Ran]) -> str:
    reason = pulled[images[0]].last_lines(1)
    push = "; ".join(f"docker push {image}" for image in images)
    return f"{len(images)} image(s) cannot be pulled ({reason}). Push and run again: {push}"
