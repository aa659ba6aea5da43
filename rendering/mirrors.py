"""Images of other registries, which are copied into the stack's own."""

from catalogue.service import Image
from catalogue.stack import Stack
from rendering.requests import MirrorRequest


def copy_request(stack: Stack, image: Image, digest: str) -> MirrorRequest:
    """The request to `infra.mirror`: an image of another registry, and its digest in the stack's registry."""
    return {
        "account": stack.accountId,
        "region": stack.region,
        "repository": image.repository,
        "reference": image.suffix,
        "digest": digest,
        "logins": {host: login for host, login in stack.registry_logins.items() if host == image.host},
    }
