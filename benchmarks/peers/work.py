"""What is brought to the host: WatchMe's files as this program renders them, and for a peer the same by other names.

A peer's units hold what ours hold, but start `sleep`: a container cannot run twice. So a peer's restart takes less time
than ours, which waits until the service is healthy.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.say import LabError

HOST = "watchme"
UNITS = "/etc/systemd/system/"
SITE = "/etc/nginx/sites-available/"
# Runs in a project's folder: all files of the host as text, and the request that `pulumi up` gives infra.deliver
PROGRAM = """
import json, sys
from pathlib import Path
sys.path.insert(0, str(Path.cwd()))
from components.release import request, secrets_for
from infra import hosts
from infra.preview import live
from rendering.archive import build
from rendering.host import render

host = sys.argv[1]
catalogue = live.catalogue_of("lab")
known, _ = live.digests(catalogue, catalogue.stack.region)
digests = {f"{name}{suffix}": digest for name, tags in known.items() for suffix, digest in tags.items()}
rendered = render(catalogue, host, digests)
target = hosts.targets(catalogue.stack, host)[host]
made = build(rendered)
print(json.dumps({
    "files": {file.path: file.content.decode() for file in rendered.files},
    "units": [service.unit for system in catalogue.systems_on(host) for service in system.active],
    "request": request(catalogue.stack, made, vars(target), secrets_for(catalogue, host, {})),
    "release": made.id,
}))
"""


@dataclass(frozen=True)
class Rendered:
    """`files`: path → text; `units` are those of services; `request` goes to infra.deliver's standard input."""

    files: dict[str, str]
    units: list[str]
    request: str
    release: str


@dataclass(frozen=True)
class Service:
    """A unit that is restarted when one of its files changes."""

    unit: str
    files: list[str]


@dataclass(frozen=True)
class Tree:
    """What a peer brings: path on the host → text. `site` is the Nginx site's path, `folder` where the rest is."""

    peer: str
    files: dict[str, str]
    services: list[Service]
    site: str
    folder: str


def render(project: Path, env: dict[str, str]) -> Rendered:
    """Raises LabError."""
    command = [".venv/bin/python", "-c", PROGRAM, HOST]
    ran = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False, timeout=300)
    if ran.returncode:
        raise LabError(f"rendering host {HOST}: {ran.stderr.strip()[-500:]}")
    return Rendered(**json.loads(ran.stdout.splitlines()[-1]))


def tree(rendered: Rendered, peer: str) -> Tree:
    """The files of a peer: as many as ours, each about as long. Pure."""
    folder = f"/opt/peers/{peer}"
    files: dict[str, str] = {}
    services: list[Service] = []
    site = ""
    for path, text in rendered.files.items():
        unit = path.removeprefix(UNITS)
        if unit in rendered.units:
            place = f"{UNITS}peer-{peer}-{unit}"
            composed = [other for other in rendered.files if f" {other} " in text]
            services.append(Service(f"peer-{peer}-{unit}", [place, *(folder + other for other in composed)]))
            files[place] = sleeping_unit(text)
        elif path.startswith(SITE):
            site = f"/etc/nginx/conf.d/peer-{peer}.conf"
            files[site] = renamed_site(text, path.removeprefix(SITE), peer, folder)
        else:
            files[folder + path] = text.replace("upstream service_", f"upstream peer_{peer}_")
    return Tree(peer, files, services, site, folder)


def sleeping_unit(text: str) -> str:
    """A unit of the same length and more that starts nothing of ours."""
    quiet = re.sub(r"^(Exec\w+|After|Requires|WantedBy)=", r"# \1=", text, flags=re.MULTILINE)
    quiet = quiet.replace("[Service]\n", "[Service]\nExecStart=/bin/sleep infinity\n", 1)
    return quiet.replace("[Install]\n", "[Install]\nWantedBy=multi-user.target\n", 1)


def renamed_site(text: str, name: str, peer: str, folder: str) -> str:
    """The site under a name that no one asks for, with upstreams of the peer's own."""
    text = text.replace("http://service_", f"http://peer_{peer}_").replace(
        f"server_name {name}", f"server_name {peer}.invalid"
    )
    text = text.replace(f"shared:{name}", f"shared:{peer}")
    return f"include {folder}/etc/nginx/upstreams/*.serving;\n{text}"


def changed_files(before: Tree | None, after: Tree) -> list[str]:
    """Paths whose text differs, or that are new."""
    return [path for path, text in after.files.items() if before is None or before.files.get(path) != text]


def changed_units(before: Tree | None, after: Tree) -> list[str]:
    """Units one of whose files differs, or is new."""
    changed = set(changed_files(before, after))
    return [service.unit for service in after.services if changed & set(service.files)]
