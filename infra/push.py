"""The first push of an image or an artefact, or any other: from this machine into the registry of one of a stack's
regions."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from catalogue.loading import Catalogue, artefacts_of
from infra import artefact, aws
from infra.errors import InfraError
from infra.foreign import one_line
from infra.move.steps.images import login, registry
from infra.skopeo import Copier

# What Docker and the file system say of an image that is not there
ABSENT = ("reference does not exist", "No such image", "no such file or directory")
TRANSPORTS = ("oci", "oci-archive", "docker-archive", "docker-daemon", "docker", "dir")


def push(
    catalogue: Catalogue, image: str, sources: Sequence[str], region: str, architecture: str | None = None
) -> tuple[str, str]:
    """Pushes `sources` as `repository[:tag]`; the digest it has there, and of an artefact what went into it. For an
    image there is one source: a plain name is an image of this machine's Docker; with skopeo's prefixes (oci:,
    docker-archive:) it may be a file. For an artefact they are directories, files or archives. Raises InfraError."""
    stack = catalogue.stack
    repository, _, tag = image.partition(":")
    repositories = {name for system in catalogue.running.values() for name in system.repositories}
    if repository not in repositories:
        raise InfraError(
            f"the catalogue has no repository {repository!r}; repositories: {', '.join(sorted(repositories))}"
        )
    _there(repository, region, stack.name)
    host = registry(stack.accountId, region)
    target = f"docker://{host}/{repository}:{tag or 'latest'}"
    with tempfile.TemporaryDirectory() as folder:
        source, packed = _skopeo_source(sources[0]), ""
        is_image = sources[0].split(":")[0] in TRANSPORTS
        if _is_artefact(catalogue, repository) and not is_image:
            source, packed = (
                f"oci:{folder}/packed:new",
                artefact.write(Path(folder) / "packed", sources, architecture, _places(catalogue, repository)).line,
            )
        elif len(sources) > 1 or architecture:
            raise InfraError(f"{repository} is an image's, which has one --from, with all architectures in it")
        copier = Copier(Path(folder), {host: {"auth": login(boto3.Session(), stack.accountId, region)}}, {})
        _copy(source, target, copier.file)
        digest = copier.digest(target)
    if digest is None:
        raise InfraError(f"{image} was pushed to {host}, and is not there: push it again")
    return digest, packed


def _is_artefact(catalogue: Catalogue, repository: str) -> bool:
    """Does a repository hold what hosts unpack, and no image of a container."""
    return any(repository == own.repository for own in artefacts_of(catalogue.running.values()))


def _places(catalogue: Catalogue, repository: str) -> list[tuple[str, str]]:
    """Where hosts have what a repository holds: the path, and which part of it is there."""
    own = [one for one in artefacts_of(catalogue.running.values()) if one.repository == repository]
    return [(one.into, one.subpath or "") for one in own]


def next_step(catalogue: Catalogue, image: str) -> str:
    """What is to be done after a push, or why nothing comes of it."""
    repository, _, tag = image.partition(":")
    runs = sorted(one.name for one in catalogue.images if one.repository == repository)
    stack, systems = catalogue.stack.name, catalogue.running.values()
    users = sorted(
        {s.name for system in systems for s in system.active for i in s.images if i.repository == repository}
    )
    if "." in repository.partition("/")[0]:
        # infra deploy takes a stack's own repositories alone
        tags = ", ".join(runs) or "none"
        return f"{repository} is another registry's: pulumi up brings the tag that the catalogue names ({tags})"
    if f"{repository}:{tag or 'latest'}" in runs:
        return f"infra deploy {' '.join(users)} --stack {stack} releases it alone, or pulumi up with all that is new"
    command = f"infra deploy {users[0]} --image {tag} --stack {stack} releases it" if users else "no service runs it"
    return (
        f"no service follows this tag: {command}, or write it in the catalogue, which has {', '.join(runs) or 'none'}"
    )


def _skopeo_source(source: str) -> str:
    """As skopeo names it: a plain name is one of this machine's Docker, with its tag."""
    if source.split(":")[0] in TRANSPORTS:
        return source
    is_whole = ":" in source.rsplit("/", 1)[-1] or "@" in source
    return f"docker-daemon:{source if is_whole else f'{source}:latest'}"


def _there(repository: str, region: str, stack: str) -> None:
    try:
        aws.client("ecr", region).describe_repositories(repositoryNames=[repository])
    except ClientError as error:
        if "NotFound" not in aws.error_code(error):
            raise InfraError(f"ECR in {region}: {error}") from None
        raise InfraError(
            f"{region} has no repository {repository}. If it is new: run pulumi up --stack {stack}, which makes it and "
            "is refused because the artefact is missing; then push, and run it again. If the stack is in another "
            "region: push to that one (--region), a move takes it along"
        ) from None
    except BotoCoreError as error:
        raise InfraError(f"ECR in {region}: {error}") from None


def _copy(source: str, target: str, logins: Path) -> None:
    """All architectures; an image of Docker's gets another digest on the way. Raises InfraError."""
    command = ["skopeo", "copy", "--all", "--authfile", str(logins), source, target]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode and any(words in ran.stderr for words in ABSENT):
        image = source.removeprefix("docker-daemon:")
        raise InfraError(f"there is no image {image}: build or pull it, or name another --from")
    if ran.returncode:
        raise InfraError(f"skopeo copy: {one_line((ran.stderr.strip().splitlines() or ['no reason given'])[-1])}")
