"""Hard-coded regions in other repositories: where they stand, which kind each is, what they become in another region.

A line that holds `infra:keep-region` is passed over: it means the old region, and is to.
"""

import codecs
import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infra import third_party
from infra.foreign import one_line
from infra.writing import is_file, put

KEEP = "infra:keep-region"
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
REPOSITORIES = {".git", ".hg"}
LARGEST = 4 * 1024**2
# Letters of the zones that a new account may use; a, b and c where nothing else is said
ZONES = {"ap-northeast-1": "acd", "us-west-1": "ac"}
FILES = [
    ("compose file", re.compile(r"(^|/)(docker-)?compose[^/]*\.ya?ml$")),
    ("systemd unit", re.compile(r"\.(service|timer|socket)$")),
    ("workflow", re.compile(r"(^|/)\.github/.*\.ya?ml$|(^|/)\.gitlab-ci\.yml$")),
    ("Dockerfile", re.compile(r"(^|/)Dockerfile[^/]*$")),
    ("environment file", re.compile(r"(^|/)\.env[^/]*$|\.env$")),
    ("shell", re.compile(r"\.(sh|bash|zsh)$|(^|/)Makefile$")),
    ("Python", re.compile(r"\.py$")),
    ("TypeScript", re.compile(r"\.(ts|tsx|js|jsx|mjs|cjs)$")),
    ("document", re.compile(r"\.(md|rst|txt|adoc)$")),
]
# Where people say that a region is, in English and Japanese
PLACES = {
    "ap-northeast-1": ("Tokyo", "東京"),
    "ap-northeast-2": ("Seoul", "ソウル"),
    "ap-northeast-3": ("Osaka", "大阪"),
    "ap-south-1": ("Mumbai", "ムンバイ"),
    "ap-southeast-1": ("Singapore", "シンガポール"),
    "ap-southeast-2": ("Sydney", "シドニー"),
    "ap-southeast-3": ("Jakarta", "ジャカルタ"),
    "ca-central-1": ("Canada", "カナダ"),
    "eu-central-1": ("Frankfurt", "フランクフルト"),
    "eu-north-1": ("Stockholm", "ストックホルム"),
    "eu-west-1": ("Ireland", "アイルランド"),
    "eu-west-2": ("London", "ロンドン"),
    "eu-west-3": ("Paris", "パリ"),
    "sa-east-1": ("São Paulo", "サンパウロ"),
    "us-east-1": ("Virginia", "バージニア"),
    "us-east-2": ("Ohio", "オハイオ"),
    "us-west-1": ("California", "カリフォルニア"),
    "us-west-2": ("Oregon", "オレゴン"),
}
# What may stay where it is when a stack moves
ELSEWHERE = ("ARN", "endpoint")
# The first that matches says what a mention is; {r} is the region
KINDS = [
    ("registry address", r"\d{{12}}\.dkr\.ecr\.{r}\.amazonaws\.com"),
    ("ARN", r"arn:aws[\w-]*:[\w-]*:{r}:"),
    ("endpoint", r"[\w.-]+[.-]{r}\.amazonaws\.com"),
    ("console address", r"{r}\.console\.aws\.amazon\.com|region={r}"),
    ("flag", r"--[\w-]*region[= ]+[\"']?{r}"),
    (
        "variable",
        r"(?i:region|location)[\w-]*[\"']?\s*[:=]+\s*(?:[\w.]+\s*(?:\|\||\?\?|or)\s*)?[\"']?(?:\$\{{\w+:-)?{r}",
    ),
    ("default", r"(?i:getenv|environ|env)[^\n]*[\"']{r}[\"']"),
]


@dataclass(frozen=True)
class Mention:
    """One region in one line. `column` counts from 0; `becomes` is None for what cannot be changed without knowing
    more: a name that holds the region."""

    path: str
    line: int
    column: int
    kind: str
    name: str
    becomes: str | None


@dataclass(frozen=True)
class ScannedFile:
    """A file with mentions: its `name` for people, its text as it is and as it would be."""

    path: Path
    name: str
    kind: str
    mentions: list[Mention]
    text: str
    new_text: str

    @property
    def diff(self) -> str:
        # A line break in a name would begin a line of the diff
        name = one_line(self.name)
        lines = difflib.unified_diff(
            self.text.splitlines(), self.new_text.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
        )
        # Shown as far as it can be
        return "\n".join(lines).encode(errors="replace").decode()


@dataclass
class PassedOver:
    """What was not looked into: `unread` are links, pipes, devices, and what cannot be read; `vendored` the folders and
    files that are copies of other people's work."""

    unread: list[Path] = field(default_factory=list[Path])
    vendored: list[Path] = field(default_factory=list[Path])


def files(roots: list[Path], passed_over: PassedOver, everything: bool = False) -> Iterator[tuple[Path, str]]:
    """Every file below the roots and its path from there, in order. With `everything` vendored ones too, a repository's
    own records aside."""

    for root in roots:
        if is_file(root):
            yield root, root.name
            continue
        # No recursion: a tree can be deeper than Python's stack
        waiting = [root]
        while waiting:
            place = waiting.pop()
            folders, names, links = _list_folder(place, passed_over)
            passed_over.unread.extend(place / name for name in links)
            theirs = REPOSITORIES if everything else third_party.folders(place, folders)
            built = set[str]() if everything else third_party.files(place, names, folders)
            passed_over.vendored.extend(place / name for name in sorted({*folders} & theirs - REPOSITORIES | built))
            for name in (name for name in names if name not in built):
                path = place / name
                if _is_file(path):
                    yield path, path.relative_to(root).as_posix()
                else:
                    passed_over.unread.append(path)
            waiting.extend(place / name for name in reversed(folders) if name not in theirs)


def _list_folder(place: Path, passed_over: PassedOver) -> tuple[list[str], list[str], list[str]]:
    """The folders, all that is none, and the links to folders in a folder, in order."""
    folders: list[str] = []
    names: list[str] = []
    links: list[str] = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if not _is_folder(entry):
                    names.append(entry.name)
                else:
                    (links if entry.is_symlink() else folders).append(entry.name)
    except OSError:
        # Not readable, or a path longer than the system takes
        passed_over.unread.append(place)
    return sorted(folders), sorted(names), sorted(links)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return is_file(path)
    except OSError:
        return False


def scan(
    roots: list[Path], old: str, new: str, passed_over: PassedOver | None = None, everything: bool = False
) -> Iterator[ScannedFile]:
    """The files that mention the region `old`, and what they would be in `new`. Binary files are left out; what is no
    file, is over LARGEST, in UTF-16, or cannot be read, goes into `passed_over`, and so does what is vendored, unless
    `everything` is wanted."""
    mark, passed = old.encode(), passed_over or PassedOver()
    wide = b"\0".join(bytes([letter]) for letter in mark)
    for path, name in files(roots, passed, everything):
        try:
            content = path.read_bytes() if path.stat().st_size <= LARGEST else None
        except OSError:
            content = None
        # In UTF-16 a region has another form, with or without a mark at the beginning
        if content is None or content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or wide in content:
            passed.unread.append(path)
            continue
        if mark not in content or b"\0" in content[:8192]:
            continue
        if not everything and third_party.is_minified(path.name, content):
            passed.vendored.append(path)
            continue
        # Whatever its encoding is, a region is written in ASCII: all else goes through as it is
        text = content.decode(errors="surrogateescape")
        mentions = list(mentions_of(text, old, new, name))
        if mentions:
            yield ScannedFile(path, name, kind_of_file(name), mentions, text, replace_mentions(text, mentions))


def kind_of_file(path: str) -> str:
    return next((kind for kind, pattern in FILES if pattern.search(path)), "other")


def mentions_of(text: str, old: str, new: str, path: str = "") -> Iterator[Mention]:
    """Every mention of `old`, its availability zones included."""
    region = re.compile(rf"(?<![A-Za-z0-9]){re.escape(old)}(?![0-9])([a-f](?![A-Za-z0-9]))?(?![A-Za-z0-9])")
    for number, line in enumerate(text.split("\n"), 1):
        if old not in line or KEEP in line:
            continue
        for match in region.finditer(line):
            kind = _kind(line, match, old)
            becomes = None if kind == "part of a name" else _becomes(match[1], old, new)
            yield Mention(path, number, match.start(), kind, match[0], becomes)


def _kind(line: str, match: re.Match[str], old: str) -> str:
    if match[1]:
        return "availability zone"
    for kind, pattern in KINDS:
        for candidate in re.finditer(pattern.format(r=re.escape(old)), line):
            if candidate.start() <= match.start() < candidate.end():
                return kind
    before, after = line[: match.start()][-1:], line[match.end() :][:1]
    if before in ("-", "_") or after in ("-", "_"):
        return "part of a name"
    return "text"


def _becomes(letter: str | None, old: str, new: str) -> str:
    if not letter:
        return new
    here, there = ZONES.get(old, "abc"), ZONES.get(new, "abc")
    number = here.index(letter) if letter in here else 0
    return f"{new}{there[number % len(there)]}"


def replace_mentions(text: str, mentions: list[Mention]) -> str:
    """The text with every mention replaced that can be."""
    lines = text.split("\n")
    for mention in sorted(mentions, key=lambda entry: (entry.line, entry.column), reverse=True):
        if mention.becomes is not None:
            line = lines[mention.line - 1]
            end = mention.column + len(mention.name)
            lines[mention.line - 1] = f"{line[: mention.column]}{mention.becomes}{line[end:]}"
    return "\n".join(lines)


def places_left(scanned: ScannedFile, old: str) -> list[tuple[int, str]]:
    """(line, place) where a changed line still names the place of the old region beside the new region's code."""
    lines = scanned.text.split("\n")
    numbers = sorted({mention.line for mention in scanned.mentions if mention.becomes is not None})
    return [
        (number, place)
        for number in numbers
        for place in PLACES.get(old, ())
        if place.lower() in lines[number - 1].lower()
    ]


def write(scanned: ScannedFile) -> None:
    """Puts the changed text in the file's place as a whole, its permissions and line ends kept. Raises InfraError."""
    put(scanned.path, scanned.new_text.encode(errors="surrogateescape"))


def a_file(kind: str) -> str:
    """`an environment file`, `a Python file`."""
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind}" if kind.endswith(" file") else f"{article} {kind} file"
