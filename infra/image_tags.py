"""Tags in ECR on the images that hosts need, which its clean-up rule spares: see rendering/images.py."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra import aws
from infra.errors import InfraError
from rendering import images

# Without one of these ECR converts a manifest, and the digest is another
MANIFESTS = [
    "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
]  # fmt: skip
IN_A_REQUEST = 100
REPOSITORIES_AT_ONCE = 4
# A release waits for it, and can do without
ATTEMPTS = 4


@dataclass(frozen=True)
class Manifest:
    digest: str
    text: str
    kind: str

    @property
    def parts(self) -> list[str]:
        """Digests of the images that an index lists, one for each architecture."""
        return [part["digest"] for part in json.loads(self.text).get("manifests", [])]


@dataclass(frozen=True)
class Repository:
    """A repository of a region, by the client that asks it."""

    ecr: Any
    account: str
    name: str

    @property
    def _identifiers(self) -> dict[str, str]:
        return {"registryId": self.account, "repositoryName": self.name}

    def tags(self) -> dict[str, str]:
        """Tag → digest."""
        pages = self.ecr.get_paginator("list_images").paginate(**self._identifiers, filter={"tagStatus": "TAGGED"})
        return {entry["imageTag"]: entry["imageDigest"] for page in pages for entry in page["imageIds"]}

    def manifests(self, digests: Iterable[str]) -> dict[str, Manifest]:
        """Digest → manifest of the images that are there, and of those that they list."""
        by_digest: dict[str, Manifest] = {}
        requested: set[str] = set()
        waiting = sorted(set(digests))
        while waiting:
            batch, waiting = waiting[:IN_A_REQUEST], waiting[IN_A_REQUEST:]
            requested |= set(batch)
            ids = [{"imageDigest": digest} for digest in batch]
            answer = self.ecr.batch_get_image(**self._identifiers, imageIds=ids, acceptedMediaTypes=MANIFESTS)
            for image in answer["images"]:
                digest = image["imageId"]["imageDigest"]
                manifest = Manifest(digest, image["imageManifest"], image.get("imageManifestMediaType", ""))
                by_digest[digest] = manifest
                waiting += [part for part in manifest.parts if part not in requested and part not in waiting]
        return by_digest

    def tag(self, manifest: Manifest, tag: str) -> None:
        kind = {"imageManifestMediaType": manifest.kind} if manifest.kind else {}
        try:
            self.ecr.put_image(
                **self._identifiers, imageManifest=manifest.text, imageTag=tag, imageDigest=manifest.digest, **kind
            )
        except ClientError as error:
            if aws.error_code(error) != "ImageAlreadyExistsException":
                raise

    def untag(self, tags: list[str]) -> None:
        for begin in range(0, len(tags), IN_A_REQUEST):
            ids = [{"imageTag": tag} for tag in tags[begin : begin + IN_A_REQUEST]]
            self.ecr.batch_delete_image(**self._identifiers, imageIds=ids)


def keep(references: Iterable[str], owner: str) -> None:
    """Tags the images as needed by `owner`, a host of a stack; of one that is not there the release complains. Raises
    InfraError."""
    _each(references, owner, _tag)


def keep_only(references: Iterable[str], owner: str) -> None:
    """As `keep`; and in their repositories no other image has a tag of `owner` any more. Raises InfraError."""
    _each(references, owner, _tag_only)


def _each(references: Iterable[str], owner: str, act: Any) -> None:
    digests: dict[tuple[str, str, str], set[str]] = {}
    for image in images.images_in_ecr(references):
        digests.setdefault((image.account, image.region, image.repository), set()).add(image.digest)

    @cache
    def client(region: str) -> Any:
        return aws.client("ecr", region, ATTEMPTS)

    def act_on(place: tuple[str, str, str]) -> None:
        account, region, name = place
        try:
            act(Repository(client(region), account, name), digests[place], owner)
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and aws.error_code(error) == "RepositoryNotFoundException":
                # A kept release may be older than a move, or name a service that has left
                return
            raise InfraError(f"ECR in {region}, repository {name}: {error}") from None

    # Made before the threads, which may not make one at once
    for _, region, _ in digests:
        client(region)
    with ThreadPoolExecutor(REPOSITORIES_AT_ONCE) as pool:
        list(pool.map(act_on, digests))


def _tag(repository: Repository, digests: set[str], owner: str) -> tuple[dict[str, str], set[str]]:
    """The tags that the images have now, and which of them `owner` needs."""
    tags = repository.tags()
    manifests = repository.manifests(digests)
    for digest, manifest in manifests.items():
        name = images.tag(owner, digest)
        if tags.get(name) != digest:
            repository.tag(manifest, name)
            tags[name] = digest
    return tags, {images.tag(owner, digest) for digest in manifests}


def _tag_only(repository: Repository, digests: set[str], owner: str) -> None:
    tags, current_tags = _tag(repository, digests, owner)
    surplus = {tag: digest for tag, digest in tags.items() if images.is_of(owner, tag) and tag not in current_tags}
    others = {digest for tag, digest in tags.items() if tag not in surplus}
    # ECR deletes an image with its last tag
    for digest, manifest in repository.manifests(set(surplus.values()) - others).items():
        repository.tag(manifest, images.released_tag(digest))
    repository.untag(sorted(surplus))
