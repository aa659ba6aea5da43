"""What of a host is asked for: public paths, by its proxy's rendered files, and what makes a service healthy. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from agent.documents.manifest import Manifest
from rendering.proxies import PROXIES
from rendering.proxy import SiteText

OWN = ("/status", "/.infra-", "/.well-known/acme-challenge/")


def public_paths(files: dict[str, str]) -> set[str]:
    """`api.example.com/notes/` for each public path of a host's sites."""
    return {*_paths(files)}


def guarded_paths(files: dict[str, str]) -> set[str]:
    """Those of them that not every client may ask for."""
    return {path for path, (block, form) in _paths(files).items() if form.guard.search(block)}


def _paths(files: dict[str, str]) -> dict[str, tuple[str, SiteText]]:
    """Public path → the block of its site's file, and how the file is read."""
    blocks_by_path: dict[str, tuple[str, SiteText]] = {}
    forms = [proxy.site_text for proxy in PROXIES.values()]
    for path, text in files.items():
        form = next((form for form in forms if path.startswith(form.place)), None)
        if not form:
            continue
        text = text[max(text.find(form.begins), 0) :]
        name = path.removeprefix(form.place).removesuffix(form.suffix)
        for public, block in _blocks(text, form.block):
            if form.answers.search(block):
                blocks_by_path[f"{name}{public}"] = block, form
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
