"""A region's image repositories: one per service, the retired ones' included."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from catalogue.loading import images_of
from catalogue.models import System
from catalogue.service import Image
from catalogue.stack import Stack
from components.naming import inside, tags
from rendering.images import lifecycle


class Registry(pulumi.ComponentResource):
    """The repositories of all systems; `arns` are by repository, as are `digests`, which map `repository:tag` to
    what is there now: an image that was pushed again is a change that a preview shows."""

    arns: dict[str, pulumi.Output[str]]
    urls: dict[str, pulumi.Output[str]]
    digests: dict[str, pulumi.Output[dict[str, str]]]

    def __init__(
        self, name: str, stack: Stack, systems: list[System], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("infra:index:Registry", name, None, opts)
        names = [repository for system in systems for repository in system.repositories]
        running = {image.repository for image in images_of(systems) if stack.sharedRepositories or not image.is_foreign}
        if stack.sharedRepositories:
            # Another stack of this account and region owns them
            base = f"arn:aws:ecr:{stack.region}:{stack.accountId}:repository"
            self.arns = {name: pulumi.Output.from_input(f"{base}/{name}") for name in names}
            self.urls = {repository: pulumi.Output.from_input(f"{stack.registry}/{repository}") for repository in names}
            self.digests = self._digests({name: pulumi.Output.from_input(name) for name in running})
            self.register_outputs({"urls": self.urls})
            return
        # The first of several that run an image: another one changes nothing about its repository
        owners = {repository: system.system for system in reversed(systems) for repository in system.repositories}
        repositories = {
            repository: self._repository(f"{name}-{repository}", repository, tags(stack, system))
            for repository, system in owners.items()
        }
        self.arns = {name: repository.arn for name, repository in repositories.items()}
        self.urls = {name: repository.repository_url for name, repository in repositories.items()}
        self.digests = self._digests({name: repositories[name].name for name in running})
        self.register_outputs({"urls": self.urls})

    def _digests(self, names: dict[str, pulumi.Output[str]]) -> dict[str, pulumi.Output[dict[str, str]]]:
        """By repository, listed once it exists; an empty repository has none."""
        options = pulumi.InvokeOutputOptions(parent=self)

        def of(name: str, repository: pulumi.Output[str]) -> pulumi.Output[dict[str, str]]:
            repository_images = aws.ecr.get_images_output(repository_name=repository, opts=options)
            return repository_images.apply(
                lambda images: {f"{name}:{i.image_tag}": i.image_digest for i in images.image_ids if i.image_tag}
            )

        return {name: of(name, repository) for name, repository in names.items()}

    def _repository(self, name: str, repository: str, label: dict[str, str]) -> aws.ecr.Repository:
        resource = aws.ecr.Repository(
            name,
            # The name is the catalogue's: images are found by it
            name=repository,
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")],
            image_tag_mutability="MUTABLE",
            # A retired region's repositories go with their images; only what was applied before a delete counts
            force_delete=True,
            tags=label,
            opts=inside(self),
        )
        aws.ecr.LifecyclePolicy(f"{name}-lifecycle", repository=resource.name, policy=lifecycle(), opts=inside(self))
        return resource


@dataclass(frozen=True)
class Digests:
    """`repository:tag` → digest: what a `registry` has, if one is asked, and over that what is `known`."""

    registry: Registry | None
    known_digests: Mapping[str, str] = field(default_factory=dict[str, str])

    def of(self, images: Iterable[Image]) -> pulumi.Output[dict[str, str]]:
        """Those of the repositories of some images: what needs them depends on no other repository."""
        there = self.registry.digests if self.registry else {}
        repositories = dict.fromkeys(image.repository for image in images if image.repository in there)
        return pulumi.Output.all(*(there[name] for name in repositories)).apply(
            lambda parts: {name: digest for part in parts for name, digest in part.items()} | dict(self.known_digests)
        )
