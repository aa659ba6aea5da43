"""What of a host is asked for: public paths, by its proxy's rendered files, and what makes a service healthy. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from agent.documents.manifest import Manifest

NGINX, CADDY = "/etc/nginx/sites-available/", "/etc/caddy/sites/"
# How a block of a site begins
LOCATION = re.compile(r"^    location (?:= )?(/\S*) \{", re.MULTILINE)
HANDLE = re.compile(r"^\thandle (/\S*?)\*? \{", re.MULTILINE)
# What it has where it answers: a service, files, or a redirect; and where it does not answer every client
ANSWERS = re.compile(r"^\s+(?:proxy_pass|reverse_proxy|root|alias|file_server|redir|return 30\d) ?", re.MULTILINE)
GUARD = re.compile(
    r"^\s+(?:deny|auth_basic|auth_request|basicauth|forward_auth|error @(?:denied|outside)\d+) ", re.MULTILINE
)
OWN = ("/status", "/.infra-", "/.well-known/acme-challenge/")


def public_paths(files: dict[str, str]) -> set[str]:
    """`api.example.com/notes/` for each public path of a host's sites."""
    return {*_paths(files)}


def guarded_paths(files: dict[str, str]) -> set[str]:
    """Those of them that not every client may ask for."""
    return {path for path, block in _paths(files).items() if GUARD.search(block)}


def _paths(files: dict[str, str]) -> dict[str, str]:
    """Public path → the block of its site's file."""
    blocks_by_path: dict[str, str] = {}
    for path, text in files.items():
        if path.startswith(NGINX):
            # What comes before is the redirect to HTTPS
            text = text[max(text.find("listen 443"), 0) :]
            name, begins = path.removeprefix(NGINX), LOCATION
        elif path.startswith(CADDY):
            name, begins = path.removeprefix(CADDY).removesuffix(".caddy"), HANDLE
        else:
            continue
        blocks_by_path |= {f"{name}{public}": block for public, block in _blocks(text, begins) if ANSWERS.search(block)}
    # A path without its last / leads to the one with it, and is no other
    return {path: block for path, block in blocks_by_path.items() if f"{path}/" not in blocks_by_path}


def _blocks(text: str, begins: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Path and text of each block, but for the host's own page and what no client can ask for."""
    starts = [*begins.finditer(text)]
    ends = [*(start.start() for start in starts[1:]), len(text)]
    for start, end in zip(starts, ends, strict=True):
        if not start[1].startswith(OWN):
            yield start[1], text[start.start() : end]


def health_paths(manifest: Manifest | None) -> dict[str, str]:
    """Service → the path that must answer 200 on its port, of those that have one."""
    probes = (manifest or {"probes": []})["probes"]
    return {probe["service"]: _path(url) for probe in probes if (url := probe.get("url"))}


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
