"""Images of other registries: their digests, and their copies in the stack's own registry."""

import json
import subprocess
import sys

import pulumi
import pulumi_command as command

from catalogue.loading import Catalogue
from catalogue.service import Image
from catalogue.stack import Stack
from components import lookup
from components.access import here
from components.region import Region
from rendering.mirrors import copy_request

LIMIT = 300  # seconds until registries have answered


def digests(catalogue: Catalogue, options: pulumi.InvokeOptions) -> dict[str, str]:
    """`repository:tag` and `repository@digest` → digest: from the stack's registry, or, for an image that is not there
    yet, from its own registry. Raises pulumi.RunError."""
    stack, images = catalogue.stack, catalogue.foreign_images
    if not images:
        return {}
    digest_of = lookup.digests(sorted({image.repository for image in images}), stack.region, options)
    missing = [image for image in images if image.name not in digest_of]
    pinned = {image.name: image.digest for image in missing if image.digest}
    by_tag = [image for image in missing if not image.digest]
    return (
        {image.name: digest for image in images if (digest := digest_of.get(image.name))}
        | pinned
        | _resolve_digests(stack, by_tag)
    )


def _resolve_digests(stack: Stack, images: list[Image]) -> dict[str, str]:
    if not images:
        return {}
    request = {"images": [image.name for image in images], "logins": stack.registry_logins}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "infra.mirror", "resolve"],
            input=json.dumps(request), capture_output=True, text=True, check=False, timeout=LIMIT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        names = ", ".join(image.name for image in images)
        raise pulumi.RunError(
            f"nothing was touched: the registries of {names} did not answer within {LIMIT} s"
        ) from None
    if ran.returncode:
        raise pulumi.RunError(f"nothing was touched: {(ran.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return json.loads(ran.stdout)


def copy_images(region: Region, digest_of_image: pulumi.Input[dict[str, str]]) -> None:
    """Copies images of other registries into the region's; all later resources wait for the copies."""
    stack = region.catalogue.stack
    if stack.sharedRepositories:
        # Another stack of this account and region brings them
        return
    for image in region.catalogue.foreign_images:
        request = pulumi.Output.from_input(digest_of_image).apply(
            lambda digest_of, image=image: json.dumps(copy_request(stack, image, digest_of[image.name]), sort_keys=True)
        )
        after = [region.registry, *region.waits]
        copier = command.local.Command(
            f"image-{region.name}-{image.name}",
            create=here("infra.mirror"),
            stdin=pulumi.Output.secret(request),
            logging=command.local.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions.merge(region.options, pulumi.ResourceOptions(depends_on=after)),
        )
        region.waits = [*region.waits, copier]
