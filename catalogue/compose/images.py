"""Images as compose files name them."""

import re

from catalogue.compose.fields import ImageFields

IMAGE = re.compile(
    r"(?:(?P<host>[^/]*[.:][^/]*|localhost)/)?(?P<name>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:.+))?"
)


def whole_name(host: str, name: str) -> str:
    """A repository with its registry, which a name of Docker Hub's leaves out."""
    if host in ("", "docker.io", "index.docker.io"):
        return f"docker.io/{name if '/' in name else f'library/{name}'}"
    return f"{host}/{name}"


def image_fields(text: str) -> ImageFields | None:
    """`image` as a catalogue has it; None for what is no image's name."""
    match = IMAGE.fullmatch(text)
    if not match:
        return None
    repository = whole_name(match["host"] or "", match["name"])
    if match["digest"]:
        return {"repository": repository, "digest": match["digest"]}
    return {"repository": repository, "tag": match["tag"] or "latest"}
