"""A preview as comments of a pull request: one for each stack, edited in place."""

import contextlib
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

from catalogue.files import read_text
from catalogue.languages import Language
from catalogue.problems import CatalogueError
from catalogue.stack import read_stack
from infra import github_api
from infra.errors import InfraError
from infra.preview.formats.markdown import LIMIT, quiet, speaker

MARKED = re.compile(r"<!-- infra preview ([a-z0-9-]+) -->\n")


@dataclass(frozen=True)
class Pull:
    """A pull request at an API such as https://api.github.com. `token` may write its comments, and nothing else."""

    api: str
    repository: str
    number: int
    token: str


def post(
    pull: Pull, texts: dict[str, str], head: str | None = None, languages: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """Writes each stack's comment, and says what it did. A stack without a change gets none of its own.

    The texts may come from a fork: they mention no account, and say so. With `head` the pull request must be
    at that commit, or nothing is written. `languages` are those of the stacks' owners. Raises InfraError.
    """
    if head is not None and (now := _ask(pull, f"/repos/{pull.repository}/pulls/{pull.number}")["head"]["sha"]) != head:
        raise InfraError(
            f"pull request {pull.number} is at {now[:10]} by now, the preview is of {head[:10]}: nothing written"
        )
    comments = _comments(pull)
    for stack, text in sorted(texts.items()):
        body = _safe(text, head, languages.get(stack, "en"))
        comment = comments.get(stack)
        if comment is None and text.partition("\n")[2].startswith("### ✅"):
            yield f"{stack}: no change, no comment"
        elif comment is None:
            _ask(pull, f"/repos/{pull.repository}/issues/{pull.number}/comments", "POST", {"body": body})
            yield f"{stack}: written"
        elif comment["body"] == body:
            yield f"{stack}: as it was"
        else:
            _ask(pull, f"/repos/{pull.repository}/issues/comments/{comment['id']}", "PATCH", {"body": body})
            yield f"{stack}: edited"


def find_pull(api: str, repository: str, token: str, source: str, head: str) -> Pull:
    """The open pull request from `source` (OWNER:BRANCH) that is at commit `head`. Raises InfraError."""
    anywhere = Pull(api, repository, 0, token)
    query = urllib.parse.urlencode({"head": source, "state": "open", "per_page": 100})
    numbers = [
        entry["number"]
        for entry in _ask(anywhere, f"/repos/{repository}/pulls?{query}")
        if entry["head"]["sha"] == head
    ]
    if not numbers:
        raise InfraError(f"no open pull request from {source} is at {head[:10]}: nothing written")
    return Pull(api, repository, min(numbers), token)


def read(files: list[Path], stacks: list[str]) -> dict[str, str]:
    """Stack → text, by the mark that each file begins with; of this project's own `stacks` alone.

    Raises InfraError, and CatalogueError for a file that cannot be read.
    """
    texts: dict[str, str] = {}
    for path in files:
        text = read_text(path, str(path))
        if not (mark := MARKED.match(text)) or not text[mark.end() :].strip():
            raise InfraError(
                f"{path}: is no preview of infra; make it with: infra preview --format markdown --out {path}"
            )
        if mark[1] not in stacks:
            raise InfraError(f"{path}: there is no stack {mark[1]}; stacks: {', '.join(stacks)}")
        if len(text) > LIMIT + 1:
            raise InfraError(f"{path}: {len(text)} characters, and a comment holds {LIMIT}")
        texts[mark[1]] = text.rstrip("\n")
    return texts


ORIGIN = "Written by the code of this pull request itself{commit}, and not by this repository."
AT = " at {commit}"


def languages(project: Path, stacks: Iterable[str]) -> dict[str, Language]:
    """Stack → the language of its owners, by this repository's own files; without those that cannot be read."""
    by_stack: dict[str, Language] = {}
    for stack in stacks:
        with contextlib.suppress(CatalogueError):
            by_stack[stack] = read_stack(project, stack).language
    return by_stack


def _safe(text: str, head: str | None, language: str) -> str:
    """A comment that mentions no account, and says first where its text comes from: what follows could hide it."""
    mark, _sign, rest = text.partition("\n")
    say = speaker(language)
    origin = say(ORIGIN, commit=say(AT, commit=head) if head else "")
    return f"{mark}\n<sub>{origin}</sub>\n\n{quiet(rest)}"[:LIMIT]


class Author(TypedDict):
    type: str


class Comment(TypedDict):
    """A comment as GitHub has it, as far as it is read here."""

    id: int
    body: str | None
    user: Author


def _comments(pull: Pull) -> dict[str, Comment]:
    """Our own by stack, of all pages: those of a bot which begin with the mark."""
    url: str | None = f"/repos/{pull.repository}/issues/{pull.number}/comments?per_page=100"
    by_stack: dict[str, Comment] = {}
    while url:
        entries: list[Comment]
        entries, url = github_api.page(_api(pull), url)
        for entry in entries:
            mark = MARKED.match((entry.get("body") or "").replace("\r\n", "\n"))
            if mark and entry["user"]["type"] == "Bot":
                by_stack.setdefault(mark[1], entry)
    return by_stack


def _ask(pull: Pull, path: str, method: str = "GET", body: Any = None) -> Any:
    return github_api.ask(_api(pull), path, method, body)


def _api(pull: Pull) -> github_api.Api:
    return github_api.Api(pull.api, pull.token, HINTS)


HINTS = {
    401: "is the token in GITHUB_TOKEN still good?",
    403: "the job needs permissions: pull-requests: write",
    404: "no such pull request, or the token may not see it",
}
