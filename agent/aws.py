"""AWS's APIs without a library: who this host is there, and requests signed in its name (signature v4)."""

from __future__ import annotations

import configparser
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass
from urllib.parse import quote

from agent import credentials
from agent.outcome import Refused
from agent.world import World

METADATA = "http://169.254.169.254/latest"
# Seconds between attempts
PAUSES = (1, 2, 4, 8)
# AWS throttles, or does not know everywhere yet who this is and what it may: of a new role or key that takes seconds
PASSING = re.compile(
    rb"Throttl|RequestLimitExceeded|TooManyRequests|AccessDenied|UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId"
)


@dataclass(frozen=True)
class Identity:
    """`token` is empty but for an instance's role."""

    key: str
    secret: str
    token: str = ""


@dataclass(frozen=True)
class Request:
    """What is asked of whom. `headers` are those beside the host's and the signature's own."""

    method: str
    host: str
    region: str
    service: str
    path: str = "/"
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""

    @property
    def url(self) -> str:
        return f"https://{self.host}{self.path}{f'?{self.query_text}' if self.query else ''}"

    @property
    def query_text(self) -> str:
        return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(self.query))


def identity(world: World, timeout: float = 20) -> Identity:
    """The user whose key a release brings or brought, else the instance's role. Raises Refused."""
    if (text := credentials.current(world)) is not None:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text.decode())
        return Identity(parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"])
    role = metadata(world, "iam/security-credentials/", timeout)
    document = metadata(world, f"iam/security-credentials/{role.strip()}", timeout) if role else None
    if document is None:
        raise Refused(f"this host has no AWS credentials: neither {credentials.CREDENTIALS} nor an instance role")
    keys = json.loads(document)
    return Identity(keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"])


def metadata(world: World, path: str, timeout: float = 20) -> str | None:
    """What AWS's metadata has about this machine; None where it has nothing."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    _, token = world.fetch(f"{METADATA}/api/token", ttl, "PUT", timeout=timeout)
    headers = {"X-aws-ec2-metadata-token": token.decode()}
    status, body = world.fetch(f"{METADATA}/meta-data/{path}", headers, timeout=timeout)
    return body.decode() if status == 200 else None


def ask(world: World, identity: Identity, request: Request, timeout: float = 20) -> tuple[int, bytes]:
    """Status and body; status 0 where nothing answers."""
    headers = signed_headers(identity, request, time.gmtime(world.wall()))
    body = request.body.encode() if request.method == "POST" else None
    return world.fetch(request.url, headers, request.method, body, timeout)


def ask_as_host(world: World, request: Request) -> tuple[int, bytes]:
    """As `ask` by this host's identity; what may pass by itself is tried again. Raises Refused without an identity."""
    for pause in PAUSES:
        try:
            status, body = ask(world, identity(world), request)
        except Refused:
            # An instance that was just started may get its role's credentials a little later
            world.sleep(pause)
            continue
        if not (status in (0, 429) or status >= 500 or (status >= 400 and PASSING.search(body))):
            return status, body
        world.sleep(pause)
    return ask(world, identity(world), request)


def signed_headers(identity: Identity, request: Request, now: time.struct_time) -> dict[str, str]:
    """The headers of a request (AWS's "Create a signed request", version 4)."""
    stamp, day = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
    own = {"host": request.host, "x-amz-date": stamp}
    own |= {"x-amz-security-token": identity.token} if identity.token else {}
    headers = dict(sorted((own | dict(request.headers)).items()))
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    hashed = hashlib.sha256(request.body.encode()).hexdigest()
    canonical = f"{request.method}\n{request.path}\n{request.query_text}\n{lines}\n{names}\n{hashed}"
    scope = f"{day}/{request.region}/{request.service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{identity.secret}".encode()
    for part in (day, request.region, request.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={identity.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {name: value for name, value in headers.items() if name != "host"} | {"Authorization": credential}
