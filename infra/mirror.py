"""`python -m infra.mirror`: what `pulumi up` runs for an image of another registry. It copies the image into the
stack's own, all its architectures, unless it is there already: hosts pull it from there alone, so that a release means
the same bytes whatever its owner pushes later. The request is JSON on standard input."""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import boto3

from agent.quoting import count
from infra.errors import InfraError
from infra.move.steps.images import login, registry
from infra.skopeo import Copier
from infra.supervision import Say, Work, WorkOutcome, run
from rendering.requests import MirrorRequest


@dataclass
class Mirror(Work):
    """`image` is known once the request was read."""

    image: str = ""

    def do(self, say: Say) -> WorkOutcome:
        request: MirrorRequest = json.load(sys.stdin)
        self.image = f"{request['repository']}{request['reference']}"
        digest, is_new = mirror_image(request, say)
        line = f"{self.image} is in {request['region']}: {digest}" if is_new else ""
        return WorkOutcome(0, line, {"digest": digest})

    def interruption_line(self) -> str:
        return f"failed: interrupted while {self.image or 'an image'} was copied; nothing uses it yet. Run again"


def mirror_image(request: MirrorRequest, say: Say) -> tuple[str, bool]:
    """The image's digest in the stack's registry, and whether it was copied now. Raises InfraError."""
    name, want = f"{request['repository']}{request['reference']}", request["digest"]
    host = registry(request["account"], request["region"])
    target = f"docker://{host}/{name}"
    with tempfile.TemporaryDirectory() as folder:
        auths = {host: {"auth": login(boto3.Session(), request["account"], request["region"])}}
        copier = Copier(Path(folder), auths, request["logins"])
        if copier.digest(target) == want:
            return want, False
        say(f"copying {name} into {request['region']}")
        copier.copy(f"docker://{request['repository']}@{want}", target)
        have = copier.digest(target)
        if have != want:
            raise InfraError(f"the copy of {name} is {have or 'not there'}, and the original {want}. Run again")
        return want, True


def resolve_digests(images: list[str], logins: dict[str, dict[str, str]]) -> dict[str, str]:
    """Image → the digest that its own registry has under its name now. Raises InfraError naming all that are not
    there."""
    if not images:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        copier = Copier(Path(folder), {}, logins)
        digests = {image: copier.digest(f"docker://{image}") for image in images}
    if missing := [image for image, digest in digests.items() if digest is None]:
        raise InfraError(
            f"{count(len(missing), 'image')} missing in other registries: {', '.join(missing)}. Correct the repository "
            "or the tag in the catalogue; a private one needs a login under infra:secrets.registries"
        )
    return {image: digest for image, digest in digests.items() if digest}


def resolve() -> int:
    """What `pulumi preview` asks, as JSON on both sides."""
    request = json.load(sys.stdin)
    try:
        print(json.dumps(resolve_digests(request["images"], request["logins"])))
    except InfraError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["resolve"]:
        sys.exit(resolve())
    run(Mirror())
