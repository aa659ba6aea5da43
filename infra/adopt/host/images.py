"""Images as compose files name them, in the catalogue's words. Pure."""

import re

from catalogue.compose.images import IMAGE, whole_name
from catalogue.stack import Stack
from infra.adopt.host.remarks import Remark, guess, unfit, unsaid

ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")


def image_of(name: str, where: str, digests: list[str], stack: Stack, remarks: list[Remark]) -> dict[str, str] | None:
    """An image's name as a catalogue has it; `digests` are those of the one that runs. None where it has no name."""
    match = IMAGE.fullmatch(name)
    if not match:
        fault = f"its image {name} is not the name of an image" if name else "its image has no name"
        remarks.append(unsaid(where, f"{fault}: it is left out"))
        return None
    repository = match["name"]
    ecr = ECR.fullmatch(match["host"] or "")
    if not ecr:
        repository = whole_name(match["host"] or "", repository)
        if not match["digest"] and match["tag"] in (None, "latest"):
            digest = next((d.rsplit("@", 1)[-1] for d in digests), None)
            if digest is None:
                fault = f"its image is {name}, which names no version: write the tag that it is to have"
                remarks.append(unfit(where, fault))
            else:
                remarks.append(guess(where, f"its image is {name}: the one that runs now is taken, by its digest"))
                return {"repository": repository, "digest": digest}
    elif ecr.groups() != (stack.accountId, stack.region):
        theirs, ours = f"account {ecr[1]}, {ecr[2]}", f"{stack.accountId}, {stack.region}"
        remarks.append(unfit(where, f"its image is from {theirs}; stack {stack.name} has {ours}"))
    if match["digest"]:
        return {"repository": repository, "digest": match["digest"]}
    return {"repository": repository, "tag": match["tag"] or "latest"}
