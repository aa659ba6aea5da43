"""What was changed by hand on a host, as the catalogue would have to say it: `infra drift --adopt`."""

import difflib
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from agent.documents.answers import Contents, Drift
from catalogue.loading import STATIC, Catalogue
from catalogue.problems import CatalogueError
from infra import writing
from infra.drift.deciding import deciding_keys, keys_of_variables
from infra.errors import InfraError
from infra.foreign import visible
from infra.preview import live
from infra.preview.marks import mask_text
from rendering.host import render

EDITED = "was edited"  # agent/drift.py
# What agent/contents.py has in the place of a file's text
NO_TEXT = re.compile(r"\((?:binary, \d+ bytes, \w+|\d+ bytes: too large to compare|cannot be read: .*)\)\n")
HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
MARK = re.compile(r"\[secret [0-9a-f]{12}\]")
SHORTEST = 6  # characters of a secret that is looked for in files
HAS_SECRET = "a changed line has what looks like a secret; put it under secrets: of its service"


@dataclass(frozen=True)
class Edit:
    """One finding of a host. `source` is the project's file that it would have to be made in, "" where none is known;
    `keys` are the keys there; `content` is what `--write` puts, None with the `obstacle` where it puts nothing."""

    host: str
    path: str
    fault: str
    source: str = ""
    diff: str = ""
    keys: tuple[str, ...] = ()
    content: bytes | None = None
    obstacle: str = ""

    def lines(self) -> list[str]:
        where = f"; its source is {self.source}" if self.source else ""
        result = [f"{self.host}: {self.path} {self.fault}{where}"]
        result += [f"  {key}" for key in self.keys]
        result += [f"  {line}" for line in self.diff.split("\n") if line]
        return [visible(line) for line in [*result, *([f"  not written: {self.obstacle}"] if self.obstacle else [])]]


def edits_of(catalogue: Catalogue, label: str, answer: Drift, contents: Contents, values: Iterable[str]) -> list[Edit]:
    """Each finding of a host's drift, by what the host has now. `values` are the stack's secrets, as far as they are
    known here: none is shown or written. `label` is the host, with `@REGION` where it stands by. Raises InfraError."""
    host = label.partition("@")[0]
    if host not in catalogue.stack.hosts:
        raise InfraError(f"{label} leaves the stack: what was changed there belongs in no file of it")
    rendered = render(catalogue, host)
    sources = _sources(catalogue, {file.path: file.content for file in rendered.files})
    environment = {item.path for item in rendered.environment_files}
    texts = contents.get("files", {})
    hashes = {file["path"]: file["sha256"] for file in contents["manifest"]["files"]} if "manifest" in contents else {}
    hidden = sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True)
    banners = {file.path: _source_of(file.content) for file in rendered.files}
    edits: list[Edit] = []
    for item in answer["drift"]:
        path, diff = item["path"], item.get("diff", "")
        edit = Edit(label, path, item["found"], banners.get(path, ""))
        if item["found"] != EDITED:
            edits.append(replace(edit, source=sources.get(path, edit.source), keys=_keys_of_finding(item["found"])))
        elif path in environment or path not in texts or NO_TEXT.fullmatch(texts[path]):
            keys = tuple(keys_of_variables(catalogue, host, path, diff))
            source = edit.source or (catalogue.stack.file if path in environment and not keys else "")
            edits.append(replace(edit, source=source, diff=_mask(diff, path, hidden), keys=keys))
        elif path in sources:
            edits.append(_of_source(catalogue, replace(edit, source=sources[path]), texts[path], hashes, hidden))
        else:
            before = release_text(texts[path], diff)
            keys = deciding_keys(catalogue, host, path, _mask(before, path, hidden), _mask(texts[path], path, hidden))
            difference = _difference(_mask(before, path, hidden), _mask(texts[path], path, hidden), path)
            edits.append(replace(edit, diff=difference or _mask(diff, path, hidden), keys=tuple(keys)))
    return edits


def _of_source(catalogue: Catalogue, edit: Edit, text: str, hashes: dict[str, str], hidden: list[str]) -> Edit:
    """An edit of a file that a release brings as it stands in the project."""
    ours = catalogue.sources[edit.source.removeprefix(f"{STATIC}/")]
    before, after = (_mask(each, edit.path, hidden) for each in (ours.decode(errors="replace"), text))
    edit = replace(edit, diff=_difference(before, after, edit.source))
    if hashes.get(edit.path) != hashlib.sha256(ours).hexdigest():
        return replace(edit, obstacle="the file here is not the one that the release brought: make the change by hand")
    if {*MARK.findall(after)} - {*MARK.findall(before)} or any(value in text for value in hidden):
        return replace(edit, obstacle=HAS_SECRET)
    return replace(edit, content=text.encode())


def _sources(catalogue: Catalogue, contents: dict[str, bytes]) -> dict[str, str]:
    """Path on the host → the one file below files/static/ that is there byte for byte."""
    by_content: defaultdict[bytes, list[str]] = defaultdict(list)
    for name, content in catalogue.sources.items():
        by_content[content].append(name)
    return {
        path: f"{STATIC}/{by_content[content][0]}"
        for path, content in contents.items()
        if len(by_content.get(content, [])) == 1
    }


def _source_of(content: bytes) -> str:
    """The file that a rendered one names as its source; "" for one that names none."""
    match = re.match(rb"# Made by watchme-infra from ([^\s;]+);", content)
    return match[1].decode(errors="replace") if match else ""


def _keys_of_finding(fault: str) -> tuple[str, ...]:
    if match := re.fullmatch(r"sets (.+) of (\S+)", fault):
        return tuple(f"directives of {match[2]}: {name}" for name in match[1].split(", "))
    if fault in ("is not active", "is not enabled"):
        return ("a unit of a release runs: to end it, remove its service from the catalogue",)
    if re.match(r"is \d{4} \S+, not ", fault):
        return ("mode, owner and group of the file in the catalogue, where it is one of a service's files",)
    return ()


def _mask(text: str, path: str, hidden: list[str]) -> str:
    for value in hidden:
        text = text.replace(value, "[secret]")
    return mask_text(text, path)


def _difference(before: str, after: str, name: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name.lstrip('/')}", f"b/{name.lstrip('/')}", lineterm=""
    )
    return "\n".join(lines)


def release_text(text: str, diff: str) -> str:
    """What the release has for a file, by the `text` on the host and the unified diff from the one to the other."""
    lines, result, position = text.splitlines(), list[str](), 0
    for line in diff.split("\n")[2:]:
        if match := HUNK.match(line):
            # A hunk without lines of the host's names the line before it
            start = int(match[3]) - (match[4] != "0")
            result += lines[position:start]
            position = start
        elif line.startswith("+"):
            position += 1
        elif line.startswith("-"):
            result.append(line[1:])
        elif line:
            result.append(line[1:])
            position += 1
    return "".join(f"{line}\n" for line in [*result, *lines[position:]])


def known_secrets(stack: str) -> list[str]:
    """The stack's secrets, where Pulumi may be asked for them; what looks like one is found without it."""
    if not live.is_possible(stack):
        return []
    try:
        groups = live.catalogue_of(stack, complete=False).secrets
    except (CatalogueError, InfraError):
        return []
    return [value for group in groups.values() for value in group.values()]


def write(root: Path, edits: list[Edit], say: Callable[[str], None]) -> int:
    """Puts what can be put into the project's files, and returns how many findings are left. Raises InfraError."""
    unwritten = [edit for edit in edits if edit.content is None]
    for source, several in _by_source(edits):
        contents = {edit.content for edit in several}
        if len(contents) > 1:
            paths = ", ".join(f"{edit.host}: {edit.path}" for edit in several)
            say(f"{source} was not written: its copies were changed differently: {paths}")
            unwritten += several
            continue
        writing.put_below(root, source, contents.pop() or b"")
        say(f"{source} was written: look at it with git diff, then pulumi up")
    return len(unwritten)


def _by_source(edits: list[Edit]) -> Iterator[tuple[str, list[Edit]]]:
    by_source: defaultdict[str, list[Edit]] = defaultdict(list)
    for edit in edits:
        if edit.content is not None:
            by_source[edit.source].append(edit)
    yield from by_source.items()


def select(edits: list[Edit], path: str | None) -> list[Edit]:
    """Those of one path; all without one. Raises InfraError where it was not changed."""
    if path is None:
        return edits
    if not (matching := [edit for edit in edits if edit.path == path]):
        names = ", ".join(dict.fromkeys(edit.path for edit in edits)) or "nothing"
        raise InfraError(f"{path} was not changed by hand; changed are: {names}")
    return matching
