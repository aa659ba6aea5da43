"""What of a host is asked for: public paths, by its proxy's rendered files, and what makes a service healthy. Pure."""

import re
from typing import Any

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
    """Service → the address that must answer 200, of those that have one."""
    return {probe["service"]: url for probe in (manifest or {"probes": []})["probes"] if (url := probe.get("url"))}
