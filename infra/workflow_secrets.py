"""Which secrets and variables the workflows of a repository use, and which of them a stack has."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from catalogue.files import read_yaml
from catalogue.shapes import is_list, is_mapping
from infra.errors import InfraError
from infra.foreign import one_line
from infra.github_secrets import PASSPHRASE, Place, SecretTarget, is_name
from infra.secret import Secret

FOLDER = Path(".github/workflows")
# What GitHub gives each run by itself
OF_GITHUB = {"GITHUB_TOKEN"}
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
# secrets.NAME or secrets['NAME']; a context without a name that stands there; a text, in which nothing counts
USE = re.compile(
    r"(?<![\w.-])(secrets|vars)\s*(?:\.\s*([A-Za-z_][\w-]*)|\[\s*'([A-Za-z_][\w-]*)'\s*\])"
    r"|(?<![\w.-])(secrets|vars)\b|'(?:[^']|'')*'",
    re.IGNORECASE,
)


@dataclass
class Uses:
    """Name → the files that use it, of `secrets` and of `variables`, and the files that name some in a way that only a
    run works out (`computed`)."""

    secrets: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    variables: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    computed: list[str] = field(default_factory=list[str])


def read_uses(checkout: Path) -> Uses:
    """Of all workflows of a repository. Raises InfraError where there are none, CatalogueError where one cannot be
    read."""
    folder = checkout / FOLDER
    files = sorted(path for path in folder.glob("*.y*ml") if path.suffix in (".yml", ".yaml") and path.is_file())
    if not files:
        raise InfraError(f"no workflow in {folder}: name the secrets, or a checkout of the repository by --checkout")
    uses = Uses()
    for path in files:
        # The key `on` is no text to YAML, and GitHub takes it
        _add(uses, read_yaml(path, str(path), yaml.CSafeLoader), path.name)
    return uses


def _add(uses: Uses, content: Any, file: str) -> None:
    passed = _parameters(content)
    for text in _expressions(content):
        for match in USE.finditer(text):
            kind, name = (match[1] or match[4] or "").lower(), (match[2] or match[3] or "").upper()
            if not kind or name in OF_GITHUB or (kind == "secrets" and name in passed):
                continue
            if not name:
                uses.computed += [] if file in uses.computed else [file]
                continue
            files = (uses.secrets if kind == "secrets" else uses.variables).setdefault(name, [])
            files += [] if file in files else [file]


def _parameters(content: Any) -> set[str]:
    """The secrets that a workflow gets from the one that calls it: they are no repository's by these names."""
    # YAML reads the key `on` as true
    events = {str(key).lower(): item for key, item in content.items()} if is_mapping(content) else {}
    events = events.get("on") or events.get("true")
    call = events.get("workflow_call") if is_mapping(events) else None
    own = call.get("secrets") if is_mapping(call) else None
    return {str(name).upper() for name in own} if is_mapping(own) else set()


def _expressions(value: Any, key: str = "") -> Iterator[str]:
    """What GitHub works out: between ${{ and }}, and all of an `if`."""
    if is_mapping(value):
        for name, item in value.items():
            yield from _expressions(item, str(name))
    elif is_list(value):
        for item in value:
            yield from _expressions(item)
    elif isinstance(value, str):
        yield from [value] if key == "if" else EXPRESSION.findall(value)


@dataclass(frozen=True)
class Offer:
    """What the stack has for workflows (`targets`); a line for each name of which that is not so (`lines`), and whether
    some are nowhere."""

    targets: list[SecretTarget]
    lines: list[str]
    is_lacking: bool


def offer(uses: Uses, secrets: Iterable[Secret], place: Place, there: Mapping[str, str], stack: str) -> Offer:
    """`there` are the names that the repository has already → since when. Pure."""
    by_name: dict[str, list[Secret]] = {}
    for entry in secrets:
        by_name.setdefault(entry.name.upper(), []).append(entry)
    targets: list[SecretTarget] = []
    lines: list[str] = []
    is_lacking = False
    for name, files in sorted(uses.secrets.items()):
        usable = [entry for entry in by_name.get(name, []) if entry.is_set]
        if name == PASSPHRASE:
            targets.append(SecretTarget(name, None))
        elif len(usable) == 1 and is_name(name):
            targets.append(SecretTarget(name, usable[0]))
        else:
            is_lacking = is_lacking or name not in there
            reason = _reason(name, usable, by_name.get(name, []), stack)
            state = f"{place} has it since {one_line(there[name])}" if name in there else f"missing in {place}"
            lines.append(f"{name}  {reason}; {state}  ({_files(files)})")
    for file in uses.computed:
        lines.append(f"{one_line(file)} works out names of secrets or variables as it runs: those are not listed here")
    return Offer(targets, lines, is_lacking)


def _reason(name: str, usable: list[Secret], entries: list[Secret], stack: str) -> str:
    if usable:
        return f"several secrets have this name: say which, such as {name}={usable[0].path}"
    if entries:
        return f"{entries[0].path} has no value: infra secret set {entries[0].path} --stack {stack}"
    return f"not in stack {stack}"


def variable_lines(uses: Uses, place: Place, there: Iterable[str]) -> list[str]:
    """Each variable of which the repository has none: a stack has no values for them, since GitHub shows them."""
    lacking = sorted({*uses.variables} - {name.upper() for name in there})
    return [
        f"variable {name}  missing in {place}: gh variable set {name} {' '.join(place.words)}"
        f"  ({_files(uses.variables[name])})"
        for name in lacking
    ]


def _files(files: Iterable[str]) -> str:
    return ", ".join(one_line(file) for file in files)
