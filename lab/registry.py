"""The images of the emulated ECR: a real registry per region, and the logins that are handed out for it."""

import base64
import hashlib
import hmac
import json
import secrets
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from infra.writing import put
from lab import ports
from lab.images import write_layout
from lab.run import Daemon, run, wait_until
from lab.settings import REGIONS, REGISTRIES, Lab
from lab.tools import BIN

USER = "AWS"


LIFETIME = 12 * 3600  # seconds that a login lives, as in ECR
# What a manifest may be: without one of these a registry converts what it has, and the digest is another
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)  # fmt: skip


def start(lab: Lab) -> None:
    """A registry for each region, plain and for this machine alone; ECR's part is lab/cloud/ecr.py."""
    _write_secret(lab, "backend", secrets.token_urlsafe(24))
    hashed = bcrypt.hashpw(_secret(lab, "backend").encode(), bcrypt.gensalt(4)).decode()
    _write_secret(lab, "htpasswd", f"{USER}:{hashed}\n")
    rotate_token(lab)
    for region in REGIONS:
        start_in(lab, region)


def daemon(lab: Lab, region: str) -> Daemon:
    return Daemon(f"registry-{region}", lab.path("run"))


def start_in(lab: Lab, region: str) -> None:
    process = daemon(lab, region)
    process.log.unlink(missing_ok=True)
    config = lab.path("registry", f"{region}.yaml")
    config.parent.mkdir(parents=True, exist_ok=True)
    put(config, yaml.safe_dump(_config(lab, region, lab.path("registry", "htpasswd"))))
    process.start(str(BIN / "docker-registry"), "serve", str(config), env={"OTEL_TRACES_EXPORTER": "none"})
    wait_until(f"registry of {region}", lambda: b"listening on" in process.log.read_bytes(), process)


def _write_secret(lab: Lab, name: str, text: str) -> None:
    folder = lab.path("registry")
    folder.mkdir(parents=True, exist_ok=True)
    put(folder / name, text, 0o600)


def _secret(lab: Lab, name: str) -> str:
    return lab.path("registry", name).read_text()


def rotate_token(lab: Lab) -> None:
    """Ends the life of all logins that were handed out so far."""
    _write_secret(lab, "key", secrets.token_urlsafe(24))


def set_lifetime(lab: Lab, seconds: float | None) -> None:
    """How long the logins live that are handed out from now on; None: as long as ECR's."""
    put(lab.path("registry", "lifetime"), str(LIFETIME if seconds is None else seconds))


def token(lab: Lab) -> str:
    """A login's password: when it expires, and a signature that says so."""
    file = lab.path("registry", "lifetime")
    expires = f"{time.time() + (float(file.read_text()) if file.exists() else LIFETIME):.3f}"
    return f"{expires}.{_signature(lab, expires)}"


def expiry(password: str) -> float:
    """Seconds since the epoch."""
    return float(password.rpartition(".")[0])


def login_complaint(lab: Lab, password: str) -> str | None:
    """ECR's words about a password that it does not take (any more); None for one that it takes."""
    expires, _, signature = password.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(lab, expires).encode()):
        return "Your authorization token is invalid. Reauthenticate and try again."
    if float(expires) < time.time():
        return "Your authorization token has expired. Reauthenticate and try again."
    return None


def _signature(lab: Lab, expires: str) -> str:
    return hmac.new(_secret(lab, "key").encode(), expires.encode(), hashlib.sha256).hexdigest()


def backend(lab: Lab, region: str) -> tuple[str, int]:
    """Address and port of a region's registry itself."""
    return f"127.{lab.number}.255.{2 + REGISTRIES.index(region)}", ports.API


def backend_login(lab: Lab) -> str:
    return "Basic " + base64.b64encode(f"{USER}:{_secret(lab, 'backend')}".encode()).decode()


def _config(lab: Lab, region: str, passwords: Path) -> dict[str, object]:
    address, port = backend(lab, region)
    return {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(lab.path("registry", region))}, "delete": {"enabled": True}},
        "auth": {"htpasswd": {"realm": "lab", "path": str(passwords)}},
        # Clients follow the addresses that it gives, by the name that they asked
        "http": {"addr": f"{address}:{port + lab.shift}", "relativeurls": True},
    }


@dataclass(frozen=True)
class Manifest:
    """What a registry keeps of an image: `kind` is the media type of the `text`, which has the `digest`."""

    digest: str
    kind: str
    text: str


def _ask(lab: Lab, region: str, path: str, method: str = "GET", manifest: Manifest | None = None) -> Any:
    """An answer of a region's registry itself. Raises HTTPError."""
    address, port = backend(lab, region)
    kind, body = ({"Content-Type": manifest.kind}, manifest.text.encode()) if manifest else ({}, None)
    headers = {"Authorization": backend_login(lab), "Accept": MANIFESTS, **kind}
    request = urllib.request.Request(f"http://{address}:{port}/v2/{path}", body, headers, method=method)
    return urllib.request.urlopen(request, timeout=10)


def tags(lab: Lab, region: str, repository: str) -> dict[str, str]:
    """Tag → digest of what was pushed to a repository."""
    try:
        with _ask(lab, region, f"{repository}/tags/list") as answer:
            names = json.load(answer)["tags"] or []
    except urllib.error.HTTPError:
        return {}
    return {
        name: _ask(lab, region, f"{repository}/manifests/{name}", "HEAD").headers["Docker-Content-Digest"]
        for name in names
    }


def manifest(lab: Lab, region: str, repository: str, reference: str) -> Manifest | None:
    """That of an image by its tag or digest; None where there is none."""
    try:
        with _ask(lab, region, f"{repository}/manifests/{reference}") as answer:
            digest, kind = answer.headers["Docker-Content-Digest"], answer.headers["Content-Type"]
            return Manifest(digest, kind, answer.read().decode())
    except urllib.error.HTTPError:
        return None


def put_tag(lab: Lab, region: str, repository: str, tag: str, manifest: Manifest) -> None:
    _ask(lab, region, f"{repository}/manifests/{tag}", "PUT", manifest).close()


def untag(lab: Lab, region: str, repository: str, tag: str) -> None:
    """An image loses one of its tags, and is deleted with its last one, as in ECR."""
    digest_of = tags(lab, region, repository)
    place = _repository(lab, region, repository) / "_manifests/tags" / tag
    shutil.rmtree(place, ignore_errors=True)
    digest = digest_of.pop(tag, None)
    if digest and digest not in digest_of.values():
        _ask(lab, region, f"{repository}/manifests/{digest}", "DELETE").close()


def _repository(lab: Lab, region: str, repository: str) -> Path:
    return lab.path("registry", region, "docker", "registry", "v2", "repositories", repository)


def forget(lab: Lab, region: str, repository: str) -> None:
    """A repository is deleted with all that is in it."""
    shutil.rmtree(_repository(lab, region, repository), ignore_errors=True)


def push_stub(lab: Lab, region: str, name: str, facts: dict[str, object], programs: dict[str, bytes]) -> None:
    """A stub with these facts under a name: REPOSITORY:TAG, or REPOSITORY for its latest."""
    repository, _, tag = name.partition(":")
    tag = tag or "latest"
    layout = lab.path("layouts", region, repository)
    settings = facts | ({"runs": f"http://{lab.gateway}:{ports.RUNS}/"} if facts.get("runs") else {})
    environment = {"STUB_NAME": repository, **{f"STUB_{key.upper()}": str(value) for key, value in settings.items()}}
    write_layout(layout, programs, environment, tag)
    # The lab's owners have pushed before there was a stack that made the repositories
    push_image(lab, region, f"oci:{layout}:{tag}", f"{repository}:{tag}")


def push_image(lab: Lab, region: str, source: str, name: str) -> None:
    """An image, as skopeo names it, into the registry itself."""
    address, port = backend(lab, region)
    run(
        "skopeo", "copy", "-q", "--all", "--dest-tls-verify=false", "--dest-creds", f"{USER}:{_secret(lab, 'backend')}",
        source, f"docker://{address}:{port}/{name}",
    )  # fmt: skip
