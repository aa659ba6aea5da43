"""Pydantic's findings, said in the catalogue's one-line form."""

import difflib
import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from pydantic import ValidationError

from catalogue.fields import ALLOWED
from catalogue.problems import Problem, nearest

DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
Path = tuple[int | str, ...]
# Field → how it is written, where a person may have written something simpler
EXAMPLES = {
    "image": "image: {repository: notes-api, tag: latest}",
    "memory": "memory: {limit: 512m}",
    "network": "network: {name: notes-network, subnet: 172.28.0.0/16, gateway: 172.28.0.1, unit: …}",
    "routes": "routes: [{public: /api/}]",
    "secrets": "secrets: [DB_PASSWORD], the names alone; their values are set with infra secret set",
    "environment": 'environment: {LOG_LEVEL: "info"}',
    "directives": "directives: {Service: {ExecStart: /opt/app/run}}",
    "files": "files: [{path: /etc/app.toml, source: app/app.toml}]",
    "sites": "sites: [{name: notes.example.com}]",
    "services": "services: [{name: …, kind: compose, …}]",
    "adminCidrs": "infra:adminCidrs: [203.0.113.10/32]",
    "hosts": "infra:hosts: {box: {systems: [notes]}}",
    "systems": "systems: [notes]",
    "subnet": "subnet: 172.28.0.0/16",
    "headers": "headers: {X-Frame-Options: DENY}",
    "cors": "cors: [GET, POST]",
    "rate": "rate: {requests: 10, per: second}",
    "allow": "allow: [198.51.100.0/24]",
    "deny": "deny: [198.51.100.0/24]",
    "basic_auth": "basic_auth: {alice: ALICE}, users with the names of secrets",
    "forward_auth": "forward_auth: {service: gate, path: /verify}",
    "redirects": "redirects: [{public: /old, to: /new}]",
    "static": "static: [{public: /, source: shop/web}]",
    "closed": "closed: [/internal/]",
    "error_pages": 'error_pages: {"404": shop/404.html}',
    "origins": "origins: [https://app.example.com]",
    "hsts": "hsts: {max_age: 31536000}",
    "packages": "packages: [ffmpeg]",
    "accounts": "accounts: [{name: app, home: /srv/app}]",
    "directories": "directories: [{path: /srv/app, owner: app}]",
}


# What Compose has and a catalogue says in another way
INSTEAD = {
    "build": "build it where you like, and push it: infra push REPOSITORY:TAG --from IMAGE --stack STACK",
    "ports": "port: on the host, container_port: where its program listens",
    "restart": "leave it out: its unit restarts it",
    "logging": "leave it out: its log is in the journal (infra logs)",
    "env_file": "environment: for values, secrets: for the names of secret ones (infra secret import)",
    "healthcheck": "health: a path, tcp, image, or {command: …}",
    "networks": "aliases: for other names; its network is the system's",
    "container_name": "container:",
    "mem_limit": "memory: {limit: 512m}",
    "deploy": "memory: {limit: 512m}, cpus: 0.5",
    "configs": "files: [{path: …, source: …}]",
    "artefact": "put it into the image; artefacts are what systemd's own services run (kind: unit, oneshot, timer)",
}


def problems_of(
    error: ValidationError,
    file: str,
    where: Callable[[Path], str],
    fields: Callable[[Path], list[str]] = lambda _: [],
    written: Callable[[Path, Any], str | None] = lambda path, value: None,
) -> list[Problem]:
    """One problem per finding. `where` names a path; `fields` are the names allowed beside its last part; `written` is
    the text that the file has for a value, where it is known."""
    findings = [{**finding, "loc": _as_written(finding["loc"])} for finding in error.errors(include_url=False)]
    misspelt = {_nearest(finding, fields) for finding in findings if finding["type"] == "extra_forbidden"}
    return [
        Problem(
            file,
            where(finding["loc"]),
            *_sentence(finding, fields(finding["loc"]), written(finding["loc"], finding["input"])),
        )
        for finding in findings
        # The one that was meant is not missing, it is misspelt
        if finding["type"] != "missing" or finding["loc"] not in misspelt
    ]


def misread(
    given: Any,
    made: Any,
    file: str,
    where: Callable[[Path], str],
    written: Callable[[Path, Any], str | None],
    path: Path = (),
) -> Iterator[Problem]:
    """A problem for each number that is written in another way than people write one: YAML reads 0100 as 64, yes as 1.
    `given` is what a file holds, `made` what it became; the rest is as in `problems_of`."""
    if isinstance(given, dict | list):
        # Of a service and of a host the way has its kind in it
        tag = (made.kind,) if len(path) == 2 and hasattr(made, "kind") else ()
        for key, value in given.items() if isinstance(given, dict) else enumerate(given):
            below = _part(made, key)
            yield from misread(value, below, file, where, written, (*path, *tag, key))
        return
    is_number = isinstance(made, int | float) and not isinstance(made, bool)
    if isinstance(given, int | float) and (is_number or not isinstance(given, bool)):
        text = written(path, given)
        if text is not None and not DECIMAL.fullmatch(text):
            found = (
                f"found {_cut(text)}, which YAML reads as {'a number' if isinstance(given, bool) else _shown(given)}"
            )
            yield Problem(file, where(path), found, _as_number(text))


def _part(made: Any, key: int | str) -> Any:
    """What an entry became, where it is found."""
    if isinstance(made, dict):
        return made.get(key)
    if isinstance(made, list):
        return made[key] if isinstance(key, int) and key < len(made) else None
    return getattr(made, str(key), None)


def _as_number(text: str) -> str:
    """How a number is written that stands in a file without quotes."""
    for pattern, base in (
        (r"0+([1-9][0-9]*)", 10),
        (r"([0-9][0-9_]*)", 10),
        (r"0o([0-7]+)", 8),
        (r"0x([0-9A-Fa-f]+)", 16),
    ):
        if match := re.fullmatch(pattern, text):
            return f"write {int(match[1].replace('_', ''), base)}"
    # 180s; what 3e1 is meant for is not known
    if match := re.fullmatch(r"([0-9]{1,9})[A-Za-z%]+", text):
        return f"write a number alone, such as {match[1]}"
    return "write a number alone, in digits, such as 30"


def _as_written(path: Path) -> Path:
    """Without the tags that say which of several ways of writing was chosen."""
    return tuple(part for part in path if not str(part).startswith("<"))


def _nearest(finding: Any, fields: Callable[[Path], list[str]]) -> Path | None:
    near = difflib.get_close_matches(str(finding["loc"][-1]), fields(finding["loc"]), 1)
    return (*finding["loc"][:-1], near[0]) if near else None


def _sentence(finding: Any, fields: list[str], written: str | None) -> tuple[str, str]:
    value, name = finding["input"], str(finding["loc"][-1]) if finding["loc"] else ""
    plain = written
    # A text is shown in quotes, so that spaces at its ends are seen
    written = None if value is None or isinstance(value, str) else written
    found = f"found {_cut(written) if written else _shown(value)}"
    match finding["type"]:
        case "extra_forbidden":
            said = (
                INSTEAD[name]
                if name in INSTEAD and finding["loc"][:1] == ("services",)
                else nearest(name, fields, "fields")
            )
            return f"unknown field {name!r}", said
        case "missing":
            return f"field {name!r} is missing", "it is required"
        case "union_tag_invalid" | "union_tag_not_found":
            kinds = finding["ctx"].get("expected_tags", "compose").replace("'", "")
            return f"kind {_shown(value.get('kind') if isinstance(value, dict) else value)}", f"kinds: {kinds}"
        case "string_type" if isinstance(value, (int, float, date)):
            return found, f'write it in quotes: "{written or _shown(value)}"'
        case "string_type" if value is None:
            return found, 'write a text; one without characters is ""'
        case "bool_type":
            return found, "write true or false, without quotes"
        case "model_type" | "model_attributes_type" | "dict_type" | "dataclass_type":
            return found, f"a mapping{_such_as(name)}"
        case "list_type":
            return found, f"a list{_such_as(name)}"
        case "string_type":
            return found, "a text"
        case "too_short":
            return found, f"at least one{_such_as(name)}"
        case "int_type" | "int_parsing" | "float_type" | "float_parsing" | "int_from_float":
            if isinstance(value, str) and plain is None:
                return found, "a number, without quotes"
            return f"found {_cut(plain or _shown(value))}", _as_number(plain or "")
        case "string_pattern_mismatch" if finding["ctx"]["pattern"] in ALLOWED:
            return found, ALLOWED[finding["ctx"]["pattern"]]
        case "value_error":
            return found, str(finding["ctx"]["error"])
        case "form":
            return found, finding["msg"]
        case _:
            return found, finding["msg"][:1].lower() + finding["msg"][1:]


def _such_as(name: str) -> str:
    return f", such as {EXAMPLES[name]}" if name in EXAMPLES else ""


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)) and value:
        # What is in it may be secret
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    try:
        return _cut(str(value) if isinstance(value, date) else repr(value))
    except ValueError:
        # Python writes no number of thousands of digits
        return "a number of thousands of digits"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
