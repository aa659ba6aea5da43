"""The images of a release: pulled while the old release serves, and what pulling changed."""

from concurrent.futures import ThreadPoolExecutor

from agent.outcome import Refused
from agent.world import Ran, World

ABSENT = ("manifest unknown", "not found", "does not exist")


def pull(world: World, images: list[str], had: dict[str, str]) -> dict[str, str]:
    """Image → id, after pulling all of them. `had` is what the last release ran.

    An image that cannot be pulled is used as it is here when the last release ran it; else Refused, naming all.
    """
    pulled = _pull_all(world, images)
    ids = {image: image_id(world, image) for image in images}
    missing = [image for image in images if pulled[image].code != 0 and (ids[image] is None or image not in had)]
    if missing:
        raise Refused(_missing(missing, pulled))
    return {image: id for image, id in ids.items() if id}


def _pull_all(world: World, images: list[str]) -> dict[str, Ran]:
    def pull_one(image: str) -> Ran:
        return world.run("docker", "pull", "-q", image, timeout=1800)

    # The first fetches the registry's token for the others; asked for by all at once, some get none
    first = {image: pull_one(image) for image in images[:1]}
    with ThreadPoolExecutor(4) as pool:
        pulled = {**first, **dict(zip(images[1:], pool.map(pull_one, images[1:]), strict=True))}
    return {image: ran if ran.code == 0 else pull_one(image) for image, ran in pulled.items()}


def image_id(world: World, image: str) -> str | None:
    ran = world.run("docker", "image", "inspect", "--format", "{{.Id}}", image)
    return ran.output.strip() if ran.code == 0 else None


def _missing(images: list[str], pulled: dict[str, Ran]) -> str:
    absent = [image for image in images if any(sign in pulled[image].output for sign in ABSENT)]
    failed = [image for image in images if image not in absent]
    lines = []
    if absent:
        push = "; ".join(f"docker push {image}" for image in absent)
        lines.append(f"{len(absent)} image(s) are not in the registry. Push, or correct the tag, and run again: {push}")
    if failed:
        reason = pulled[failed[0]].last_lines(1)
        lines.append(f"{len(failed)} image(s) cannot be pulled, {failed[0]} first: {reason}. Mend that and run again")
    return "; ".join(lines)
