"""ECR's login, for a host without its credential helper: asked of AWS by the host's own identity (signature v4)."""

import configparser
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

from agent.credentials import CREDENTIALS, STAGED
from agent.outcome import Refused
from agent.world import World

METADATA = "http://169.254.169.254/latest"
CONFIG = "/root/.docker/config.json"
TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"


@dataclass(frozen=True)
class Identity:
    """`token` is empty but for an instance's role."""

    key: str
    secret: str
    token: str = ""


def log_in(world: World, registries: list[str]) -> None:
    """Writes Docker's configuration with a login for each registry that lasts for 12 hours. Raises Refused."""
    config = json.loads(world.read(CONFIG) or b"{}")
    config["auths"] = config.get("auths", {}) | auths(world, registries)
    world.write(CONFIG, json.dumps(config, indent=2).encode(), 0o600, "root", "root")


def auths(world: World, registries: list[str]) -> dict[str, dict[str, str]]:
    """Docker's `auths`, a new token each. Raises Refused."""
    return {registry: {"auth": _token(world, registry)} for registry in registries}


def _token(world: World, registry: str) -> str:
    region = registry.split(".")[3]
    host = f"api.ecr.{region}.amazonaws.com"
    headers = signed(_identity(world), host, region, "ecr", "{}", TARGET, time.gmtime(world.wall()))
    status, body = world.fetch(f"https://{host}/", headers, "POST", b"{}")
    if status != 200:
        raise Refused(f"AWS gives this host no login for {registry}: {status or 'no answer'} from {host}")
    return json.loads(body)["authorizationData"][0]["authorizationToken"]


def _identity(world: World) -> Identity:
    """The user whose key a release brings or brought, else the instance's role."""
    if (text := world.read(STAGED) or world.read(CREDENTIALS)) is not None:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text.decode())
        return Identity(parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"])
    status, token = world.fetch(f"{METADATA}/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT")
    headers = {"X-aws-ec2-metadata-token": token.decode()}
    _, role = world.fetch(f"{METADATA}/meta-data/iam/security-credentials/", headers)
    status, body = world.fetch(f"{METADATA}/meta-data/iam/security-credentials/{role.decode().strip()}", headers)
    if status != 200:
        raise Refused(f"this host has no identity in AWS: neither {CREDENTIALS} nor an instance role")
    found = json.loads(body)
    return Identity(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])


def signed(
    identity: Identity, host: str, region: str, service: str, body: str, target: str, now: time.struct_time
) -> dict[str, str]:
    """The headers of a signed POST to `/` (AWS's "Create a signed request", version 4)."""
    stamp, day = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": stamp,
        **({"x-amz-security-token": identity.token} if identity.token else {}),
        "x-amz-target": target,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body.encode()).hexdigest()}"
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{identity.secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={identity.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {name: value for name, value in headers.items() if name != "host"} | {"Authorization": credential}
