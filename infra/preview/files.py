"""What becomes of a host's files between two releases. Pure."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agent.documents.manifest import Manifest
from agent.wording import join_phrases, phrase
from infra.foreign import visible
from infra.preview.documents import Host
from rendering.sites import BY_HAND

KINDS = ("files", "environment_files", "links")
LARGEST = 512 * 1024  # characters of a file whose differences are shown


@dataclass(frozen=True)
class FileChange:
    """A file of a host. `diff` is unified, without its two header lines; `meta` is what else differs (mode, owner), and
    that a person wrote it where the rest of its proxy's configuration is rendered."""

    path: str
    how: Literal["new", "changed", "removed"]
    diff: tuple[str, ...]
    meta: str = ""

    @property
    def added_lines(self) -> int:
        return sum(line.startswith("+") for line in self.diff)

    @property
    def removed_lines(self) -> int:
        return sum(line.startswith("-") for line in self.diff)


def compare_files(old: Host | None, new: Host | None) -> Iterator[FileChange]:
    before, after = (host["files"] if host else dict[str, str]() for host in (old, new))
    was, will = (_entries(host["manifest"] if host else None) for host in (old, new))
    for path in sorted({*before, *after}):
        # What goes with its machine is no news file by file
        if new is None or (before.get(path) == after.get(path) and was.get(path) == will.get(path)):
            continue
        how = "new" if path not in before else "removed" if path not in after else "changed"
        diff = _diff(before.get(path) or "", after.get(path) or "")
        yield FileChange(path, how, diff, _meta(path, was.get(path), will.get(path), bool(diff)))


def _diff(before: str, after: str) -> tuple[str, ...]:
    """Unified, without its two header lines. Of what is very large the comparison would take minutes."""
    if max(len(before), len(after)) > LARGEST:
        form = "@@ {before} characters before, {after} after: too large to be shown @@"
        return (phrase(form, before=len(before), after=len(after)),)
    return tuple(difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=3))[2:]


def _entries(manifest: Manifest | None) -> dict[str, tuple[int, str, str]]:
    """Path → mode, owner and the content's hash, where it has one."""
    parts = [manifest[kind] for kind in KINDS[:2]] if manifest else []
    return {f["path"]: (f["mode"], f["owner"], f.get("sha256", "")) for part in parts for f in part}


def _meta(path: str, was: tuple[int, str, str] | None, will: tuple[int, str, str] | None, has_diff: bool) -> str:
    snippet = BY_HAND.fullmatch(path)
    own = [phrase("written by hand: the snippet of site {site}", site=snippet["site"])] if snippet else []
    if was is None or will is None:
        return join_phrases("; ", own)
    changes = [f"{was[0]:04o} {was[1]} → {will[0]:04o} {will[1]}"] if was[:2] != will[:2] else []
    if was[2] != will[2] and not has_diff:
        changes.append(phrase("its content changes in a part that is not shown"))
    return join_phrases("; ", own + changes)


def _lines(text: str | None) -> list[str]:
    """A file's lines as they are shown: what it holds orders no terminal about."""
    return [visible(line) for line in text.removesuffix("\n").split("\n")] if text else []
