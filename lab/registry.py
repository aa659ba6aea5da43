"""ECR's data plane: a real registry per region behind its ECR host name, with a token as the login."""

import base64
import json
import secrets
import shutil
import ssl
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from lab.images import build_programs, stubs, write_layout
from lab.run import Daemon, run, wait_until
from lab.settings import REGIONS, RUNS_PORT, Lab
from lab.tools import BIN

USER = "AWS"


def start(lab: Lab) -> None:
    """A registry for each region."""
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
    config.write_text(yaml.safe_dump(_config(lab, region, lab.path("registry", "htpasswd"))))
    process.start(str(BIN / "docker-registry"), "serve", str(config), env={"OTEL_TRACES_EXPORTER": "none"})
    wait_until(f"registry of {region}", lambda: b"listening on" in process.log.read_bytes(), process)


def rotate_token(lab: Lab) -> None:
    """Ends the life of the token that was handed out so far; the emulated ECR hands out the new one from now on."""
    made = secrets.token_urlsafe(24)
    hashed = bcrypt.hashpw(made.encode(), bcrypt.gensalt(4)).decode()
    folder = lab.path("registry")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("token", made), ("htpasswd", f"{USER}:{hashed}\n")):
        part = folder / f"{name}.part"
        part.touch(0o600)
        part.write_text(text)
        part.rename(folder / name)


def token(lab: Lab) -> str:
    """The password that the registries take now."""
    return lab.path("registry", "token").read_text()


def _config(lab: Lab, region: str, passwords: Path) -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(lab.path("registry", region))}, "delete": {"enabled": True}},
        "auth": {"htpasswd": {"realm": "ecr", "path": str(passwords)}},
        "http": {
            "addr": f"{lab.registry_address(region)}:443",
            "tls": {"certificate": str(lab.path("tls", "registry.crt")), "key": str(lab.path("tls", "registry.key"))},
        },
    }


def tags(lab: Lab, region: str, repository: str) -> dict[str, str]:
    """Tag → digest of what was pushed to a repository."""
    base = f"https://{lab.registry_address(region)}/v2/{repository}"
    context = ssl.create_default_context(cafile=str(lab.path("tls", "trust", "ca.crt")))
    login = base64.b64encode(f"{USER}:{token(lab)}".encode()).decode()

    def ask(path: str, method: str = "GET") -> Any:
        headers = {"Authorization": f"Basic {login}", "Accept": "application/vnd.oci.image.index.v1+json"}
        request = urllib.request.Request(f"{base}/{path}", headers=headers, method=method)
        return urllib.request.urlopen(request, context=context, timeout=10)

    try:
        with ask("tags/list") as answer:
            names = json.load(answer)["tags"] or []
    except urllib.error.HTTPError:
        return {}
    return {name: ask(f"manifests/{name}", "HEAD").headers["Docker-Content-Digest"] for name in names}


def forget(lab: Lab, region: str, repository: str) -> None:
    """A repository is deleted with all that is in it."""
    place = lab.path("registry", region, "docker", "registry", "v2", "repositories", repository)
    shutil.rmtree(place, ignore_errors=True)


def push_stubs(lab: Lab, region: str) -> None:
    """The 13 stub images into a region's registry, tag latest."""
    programs = build_programs()

    def push(item: tuple[str, dict[str, object]]) -> None:
        repository, facts = item
        push_stub(lab, region, repository, facts, programs)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(push, stubs().items()))


def push_stub(
    lab: Lab, region: str, repository: str, facts: dict[str, object], programs: dict[str, bytes], tag: str = "latest"
) -> None:
    layout = lab.path("layouts", region, repository)
    told = facts | ({"runs": f"http://{lab.gateway}:{RUNS_PORT}/"} if facts.get("runs") else {})
    environment = {"STUB_NAME": repository, **{f"STUB_{key.upper()}": str(value) for key, value in told.items()}}
    write_layout(layout, programs, environment, tag)
    run(
        "skopeo", "copy", "-q", "--all", "--dest-cert-dir", str(lab.path("tls", "trust")),
        "--dest-creds", f"{USER}:{token(lab)}", f"oci:{layout}:{tag}", f"docker://{lab.registry_address(region)}/{repository}:{tag}",
    )  # fmt: skip
