"""Commands on a host that would undo or disturb a release: in scripts, workflows, crontabs and hooks near its compose
projects. Runs on the host beside on_host.py: standard library only, within bounds of files, bytes and time."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.adopt.host.documents import Rival

Read = Callable[[str], "str | None"]
FILES, BYTES, SECONDS, LINES, DEPTH, ENTRIES = 2000, 8 * 1024 * 1024, 10.0, 200, 4, 20000
LENGTH = 200  # letters of a line that are shown
LONGEST = 2000  # of which are looked at
SKIPPED = {
    "node_modules", "venv", ".venv", "__pycache__", "site-packages", "dist", "build", "vendor", "target", ".cache",
}  # fmt: skip
NAMED = re.compile(
    r"Makefile|justfile|Jenkinsfile|\.gitlab-ci\.ya?ml|.*\.(?:sh|bash|zsh|mk)|deploy[\w.-]*", re.IGNORECASE
)
SCRIPTS = ("/usr/local/bin", "/usr/local/sbin")
COMMENT = re.compile(r"^\s*(?:#|//)")
# What becomes of the release, and the commands that do it
WAYS = {
    "recreates or stops containers": r"\bdocker[- ]compose\b[^\n;|&]*\s(?:up|down|stop|restart|rm|kill|create)\b",
    "starts, stops or displaces containers":
        r"\bdocker\s+(?:container\s+)?(?:run|stop|rm|kill|restart|start|rename|update)\b",
    "removes what a release or its rollback needs":
        r"\bdocker\s+(?:system|image|volume|network|container)\s+(?:prune|rm)\b",
    "starts or stops units": r"\bsystemctl\b[^\n;|&]*\s(?:start|stop|restart|enable|disable|mask|reload)\b",
    "writes files that a release writes":
        r"\b(?:scp|rsync|cp|mv|tee|install|ln)\b[^\n]*"
        r"(?:docker-compose|compose\.ya?ml|/etc/(?:nginx|caddy|systemd)/|\.env\b)",
    "changes certificates and their renewal": r"\bcertbot\b",
    "reloads or stops the proxy": r"\bnginx\s+-s\b|\b(?:service|invoke-rc\.d)\s+(?:nginx|docker|caddy)\b",
    "changes a checkout that files of the release lie in": r"\bgit\b[^\n;|&]*\s(?:pull|reset|checkout)\b",
}  # fmt: skip


def reason(line: str) -> str:
    """Why a line of a script would fight a release; "" where it would not."""
    if COMMENT.match(line):
        return ""
    return next((why for why, command in WAYS.items() if re.search(command, line[:LONGEST])), "")


def search(
    folders: Iterable[str], homes: Iterable[str], read_text: Read, mask: Callable[[str, str], str]
) -> tuple[list[Rival], str]:
    """The lines of files in these directories and those beside them, in the hooks of checkouts and in scripts of
    accounts and the host; and which bound ended the search, if one did."""
    hits: list[Rival] = []
    size = 0
    end = time.monotonic() + SECONDS
    for files, path in enumerate(_files(folders, homes, end), 1):
        text = read_text(path)
        size += len(text or "")
        for bound, is_over in (
            (f"{FILES} files", files > FILES), (f"{BYTES // 1024**2} MiB", size > BYTES),
            (f"{SECONDS:.0f} s", time.monotonic() > end), (f"{LINES} lines", len(hits) >= LINES),
        ):  # fmt: skip
            if is_over:
                return hits, bound
        hits += _hits_in(path, text or "", mask, end)[: LINES - len(hits)]
    return hits, f"{SECONDS:.0f} s" if time.monotonic() > end else ""


def search_texts(texts: Mapping[str, str], mask: Callable[[str, str], str]) -> tuple[list[Rival], str]:
    """The lines of files that are read already, and the bound that ended the search, if one did."""
    end = time.monotonic() + SECONDS
    hits = [hit for path, text in texts.items() for hit in _hits_in(path, text, mask, end)]
    return hits, f"{SECONDS:.0f} s" if time.monotonic() > end else ""


def _hits_in(path: str, text: str, mask: Callable[[str, str], str], end: float) -> list[Rival]:
    """The lines of one file, until the time is over."""
    reasons: dict[int, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if time.monotonic() > end:
            break
        if why := reason(line):
            reasons[number] = why
    masked = mask(path, text).splitlines() if reasons else []
    return [
        {"path": path, "line": number, "why": why, "text": "".join(masked[number - 1 : number]).strip()[:LENGTH]}
        for number, why in reasons.items()
    ]


def _files(folders: Iterable[str], homes: Iterable[str], end: float) -> Iterator[str]:
    own = [folder for folder in dict.fromkeys(folders) if folder != "/"]
    roots = [*own, *dict.fromkeys(parent for folder in own if (parent := os.path.dirname(folder)) != "/")]
    visited: set[str] = set()
    for root in roots:
        yield from _below(root, DEPTH if root in own else DEPTH - 1, visited, end)
    for folder in (*SCRIPTS, *homes):
        yield from (path for path in _below(folder, 0, visited, end) if folder in SCRIPTS or _is_script(path))


def _below(folder: str, depth: int, visited: set[str], end: float) -> Iterator[str]:
    if folder in visited or len(visited) > ENTRIES or time.monotonic() > end:
        return
    visited.add(folder)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and (_is_script(path) or folder in SCRIPTS):
            yield path
        elif stat.S_ISDIR(mode) and name == ".git":
            yield from _below(os.path.join(path, "hooks"), 0, visited, end)
        elif stat.S_ISDIR(mode) and depth and name not in SKIPPED:
            yield from _below(path, depth - 1, visited, end)


def _is_script(path: str) -> bool:
    folder, name = os.path.split(path)
    if folder.endswith("/.git/hooks"):
        return not name.endswith(".sample")
    if folder.endswith((".github/workflows", ".forgejo/workflows", ".gitea/workflows")):
        return name.endswith((".yml", ".yaml"))
    return bool(NAMED.fullmatch(name))
