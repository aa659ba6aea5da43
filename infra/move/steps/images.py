"""Images out of one region's registry into another's, copied by the host that is going to run them. It gets logins of a
role that may do this and nothing else."""

import base64
import time
from collections import Counter
from collections.abc import Callable
from typing import TypedDict

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from agent.copying import Copy, Image, Payload
from agent.quoting import count
from infra import aws
from infra.answers import checked_copying
from infra.errors import InfraError
from infra.foreign import clean
from infra.remote import run_program
from infra.ssh import Target, connect
from rendering.requests import ImagesRequest

Say = Callable[[str], None]
PATIENCE = 60  # seconds until a role that was just made is known to all of AWS


class ImagesResult(TypedDict):
    """Image → digest in the new region, and how many were copied in this run."""

    images: dict[str, str | None]
    copied: int


def run(request: ImagesRequest, say: Say) -> ImagesResult:
    """Raises InfraError naming every image that is missing or different in the new region."""
    source, here = (registry(request["account"], region) for region in (request["source"], request["region"]))
    target = Target(**request["target"])
    session = assume_role(request["role"], request["region"])
    auths = {here: {"auth": login(session, request["account"], request["region"])}}
    try:
        auths[source] = {"auth": login(session, request["account"], request["source"])}
    except InfraError as error:
        # It may be why the stack leaves: what is here already is enough
        say(f"the registry in {request['source']} is not available: {error}")
    images: list[Image] = [
        {
            "source": f"{source}/{image['repository']}{image['reference']}",
            "to": f"{here}/{image['repository']}{image['reference']}",
            "digest": None if request["newest"] and image["reference"].startswith(":") else image["digest"],
        }
        for image in request["images"]
    ]  # fmt: skip
    say(f"{len(images)} images to copy, by {target.host} itself")
    copies: list[Copy] = []
    payload: Payload = {"images": images, "auths": auths}
    with connect(target) as transport:
        for raw_event in run_program(transport, target, request["program"], payload):
            event = checked_copying(clean(raw_event), str(target))
            if (copy := event.get("image")) and copy["how"] == "copied":
                say(f"copied {short(copy['to'])} {(copy['digest'] or '')[:19]}")
            copies = event.get("images", copies)
    return copy_result(request, copies, say)


def copy_result(request: ImagesRequest, copies: list[Copy], say: Say) -> ImagesResult:
    """The result. Raises InfraError naming every image that is missing or different in the new region."""
    wrong = [image for image in copies if image["how"] in ("failed", "nowhere")]
    if wrong or len(copies) != len(request["images"]):
        reasons = [f"{short(image['to'])}: {image.get('reason', 'is in neither region')}" for image in wrong]
        raise InfraError(
            f"{count(len(wrong), 'image')} not copied: {'; '.join(reasons) or 'the host stopped before the end'}"
        )
    counted = Counter(image["how"] for image in copies)
    say(
        f"{len(copies)} images have the same digest in both regions: "
        f"{', '.join(f'{count} {how}' for how, count in sorted(counted.items()))}"
    )
    return {"images": {short(image["to"]): image["digest"] for image in copies}, "copied": counted["copied"]}


def registry(account: str, region: str) -> str:
    return f"{account}.dkr.ecr.{region}.amazonaws.com"


def short(name: str) -> str:
    return name.split("/", 1)[1]


def assume_role(role: str, region: str) -> boto3.Session:
    """A session with a role's rights for an hour, which is as long as AWS gives one to another role. A role that was
    just made cannot be assumed at once. Raises InfraError."""
    sts = aws.client("sts", region)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            login = sts.assume_role(RoleArn=role, RoleSessionName="infra-images", DurationSeconds=3600)["Credentials"]
            return boto3.Session(login["AccessKeyId"], login["SecretAccessKey"], login["SessionToken"])
        except (BotoCoreError, ClientError) as error:
            refused = isinstance(error, ClientError) and (aws.is_denial(error) or aws.is_absence(error))
            if time.monotonic() > end or not refused:
                raise InfraError(f"the role {role} for copying images cannot be assumed: {error}") from None
        time.sleep(3)


def login(session: boto3.Session, account: str, region: str) -> str:
    """A registry's login, as Docker writes it. Raises InfraError."""
    try:
        answer = aws.client("ecr", region, session=session).get_authorization_token()
        token = answer["authorizationData"][0]["authorizationToken"]
    except (BotoCoreError, ClientError) as error:
        raise InfraError(f"no login for the registry of account {account} in {region}: {error}") from None
    return base64.b64encode(base64.b64decode(token)).decode()
