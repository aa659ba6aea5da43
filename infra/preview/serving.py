"""What of a host is asked for: public paths, by its proxy's rendered files, and what makes a service healthy. Pure."""

import re
from typing import Any
from urllib.parse import urlsplit

NGINX, CADDY = "/etc/nginx/sites-available/", "/etc/caddy/sites/"
# How a block of a site begins, and what it has where it passes requests to a service
LOCATION = re.compile(r"^    location (?:= )?(/\S*) \{", re.MULTILINE)
HANDLE = re.compile(r"^\thandle (/\S*?)\*? \{", re.MULTILINE)


def public_paths(files: dict[str, str]) -> set[str]:
    """`api.example.com/notes/` for each public path of a host's sites."""
    found: set[str] = set()
    for path, text in files.items():
        if path.startswith(NGINX):
            found |= {f"{path.removeprefix(NGINX)}{public}" for public in _passed(text, LOCATION, "proxy_pass ")}
        elif path.startswith(CADDY):
            name = path.removeprefix(CADDY).removesuffix(".caddy")
            found |= {f"{name}{public}" for public in _passed(text, HANDLE, "reverse_proxy ")}
    return found


def _passed(text: str, begins: re.Pattern[str], passing: str) -> list[str]:
    """The paths of blocks that pass requests on: the proxy's own pages and refusals do not."""
    starts = [*begins.finditer(text)]
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return [start[1] for start, end in zip(starts, ends, strict=True) if passing in text[start.start() : end]]


def asked(manifest: dict[str, Any] | None) -> dict[str, str]:
    """Service → the path that must answer 200 on its port, of those that have one."""
    probes = (manifest or {"probes": []})["probes"]
    return {probe["service"]: _path(url) for probe in probes if (url := probe.get("url"))}


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
