"""The images that a preview reckons with: what registries have, and what hosts serve."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from agent.documents.manifest import Manifest
from catalogue.loading import Catalogue
from infra import aws
from infra.errors import InfraError
from infra.mirror import resolve_digests
from infra.preview.snapshot import image_digests
from rendering.images import images_of

# Repository → suffix (`:tag`, `@digest`) → digest
Images = dict[str, dict[str, str]]


def serving_digests(manifest: Manifest) -> dict[str, str]:
    """`repository:tag` → digest of what a host's containers run; repository → digest of what no container names."""
    digest_of = {
        entry["named"]: entry["image"].split("@")[1] for entry in manifest["containers"] if "@" in entry["image"]
    }
    repositories = {name.split("@")[0].split(":")[0] for name in digest_of}
    whole = {image.split("@")[0].split("/", 1)[1]: image.split("@")[1] for image in images_of(manifest) if "@" in image}
    return digest_of | {name: digest for name, digest in whole.items() if name not in repositories}


def digests(catalogue: Catalogue, region: str, serving: Mapping[str, str] | None = None) -> tuple[Images, list[str]]:
    """Repository → suffix (`:tag`, `@digest`) → digest of what runs, by a region's registry, or by another image's own;
    and the images that neither lists: those are as they serve (see `serving_digests`), or named by their tag."""
    client, has = aws.client("ecr", region), serving or {}
    names = [(repository, suffix) for repository, by_image in image_digests(catalogue).items() for suffix in by_image]

    def of(image: tuple[str, str]) -> str | None:
        repository, suffix = image
        if suffix.startswith("@"):
            return suffix[1:]
        try:
            (detail,) = client.describe_images(repositoryName=repository, imageIds=[{"imageTag": suffix[1:]}])[
                "imageDetails"
            ]
        except (BotoCoreError, ClientError, ValueError):
            return None
        return detail["imageDigest"]

    images: Images = {repository: {} for repository, _ in names}
    unlisted: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        by_image = dict(zip(names, pool.map(of, names), strict=True))
    by_image |= _of_others(catalogue, [image for image, digest in by_image.items() if digest is None])
    for (repository, suffix), digest in by_image.items():
        if digest is None:
            unlisted.append(f"{repository}{suffix}")
        if serving_digest := digest or has.get(f"{repository}{suffix}") or has.get(repository):
            images[repository][suffix] = serving_digest
    return images, unlisted


def _of_others(catalogue: Catalogue, absent: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What other registries have of images that the stack's own has not: an update copies them. None where one of them
    does not answer, which an update says."""
    names = {f"{repository}{suffix}": (repository, suffix) for repository, suffix in absent}
    foreign_names = [image.name for image in catalogue.foreign_images if image.name in names]
    try:
        digests_by_name = resolve_digests(foreign_names, catalogue.stack.registry_logins)
    except InfraError:
        return {}
    return {names[name]: digest for name, digest in digests_by_name.items()}
