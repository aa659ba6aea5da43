"""Pydantic's findings, said in the catalogue's one-line form."""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from catalogue.fields import ALLOWED, MODE
from catalogue.problems import Problem, nearest
from catalogue.schemas import Described, Path, number_text, place_of
from catalogue.shapes import is_list, is_mapping

DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
PORT = re.compile(r"(^|_)ports?$")
# Field → what its number is
NUMBERS = {
    **dict.fromkeys(
        ("hold", "drain", "timeout", "read_timeout", "send_timeout", "connect_timeout", "recordTtl", "ttl", "wait",
         "readyTimeout", "healthDeadline", "confirmDeadline", "drainQuiet", "drainLimit", "singleCheck", "within",
         "period"), "a number of seconds",
    ),
    "volume": "a number of GiB", "budget": "a number of US dollars a month", "creditsBudget": "a number of US dollars",
    "cpus": "a number of processors",
}  # fmt: skip
# Where the model is not known
BOUNDS = {"greater_than": "above", "greater_than_equal": "at least", "less_than": "below", "less_than_equal": "at most"}
# Longest text → what it is, and why it is no longer
LONGEST = {
    64: "a host name of at most 64 characters, which is a certificate's limit, and of at most 63 between two dots",
    253: "a host name of at most 253 characters, which is the limit of DNS",
}
# Field → how it is written, where a person may have written something simpler
EXAMPLES = {
    "image": "image: {repository: notes-api, tag: latest}",
    "memory": "memory: {limit: 512m}",
    "network": "network: {name: notes-network, subnet: 172.28.0.0/16, gateway: 172.28.0.1, unit: …}",
    "routes": "routes: [{public: /api/}]",
    "secrets": "secrets: [DB_PASSWORD], only the names; set their values with infra secret set",
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
    "basic_auth": "basic_auth: {alice: ALICE}, users with the names of their secrets",
    "forward_auth": "forward_auth: {service: gate, path: /verify}",
    "redirects": "redirects: [{public: /old, to: /new}]",
    "static": "static: [{public: /, source: shop/web}]",
    "closed": "closed: [/internal/]",
    "error_pages": 'error_pages: {"404": shop/404.html}',
    "compress": "compress: true, or [zstd, gzip]",
    "maintenance": "maintenance: {page: shop/away.html}",
    "origins": "origins: [https://app.example.com]",
    "hsts": "hsts: {max_age: 31536000}",
    "packages": "packages: [ffmpeg]",
    "accounts": "accounts: [{name: app, home: /srv/app}]",
    "directories": "directories: [{path: /srv/app, owner: app}]",
}


# What Compose has and a catalogue says in another way
INSTEAD = {
    "build": "build the image elsewhere, and push it: infra push REPOSITORY:TAG --from IMAGE --stack STACK",
    "ports": "port: of the host; container_port: where its program listens",
    "restart": "leave it out: its unit restarts it",
    "logging": "leave it out: its log is in the journal (infra logs)",
    "env_file": "environment: for values; secrets: for the names of secret values (infra secret import)",
    "healthcheck": "health: a path, tcp, image, or {command: …}",
    "networks": "aliases: for other names; the system has one network",
    "container_name": "container:",
    "mem_limit": "memory: {limit: 512m}",
    "resources": "memory: {limit: 512m}, cpus: 0.5",
    "configs": "files: [{path: …, source: …}]",
    "profiles": "leave the service out, or give it to a variant (variants:) that a stack chooses",
    "expose": "leave it out: containers of a system reach each port of each other",
    "links": "leave it out: containers reach each other by name; aliases: for other names",
    "pull_policy": "leave it out: an image is pulled by its digest before the switch",
    "platform": "leave it out: a host takes the image for its own processor",
    "scale": "replicas: 2",
    "artefact": "put it into the image; artefacts are for systemd services (kind: unit, oneshot, timer)",
}


@dataclass(frozen=True)
class Document:
    """A file as its reader knows it, so that a problem names the place in it. `where` names a path; `fields` are the
    names allowed beside its last part; `source_text` is a value as the file has it, where that is known."""

    file: str
    where: Callable[[Path], str]
    fields: Callable[[Path], list[str]] = lambda _: []
    source_text: Callable[[Path, Any], str | None] = lambda path, value: None


def problems_of(error: ValidationError, document: Document, model: Described | None = None) -> list[Problem]:
    """One problem per finding; `model` is what the value was to be."""
    findings = [_Finding(finding, model) for finding in error.errors(include_url=False)]
    misspelt = {_nearest(one, document.fields) for one in findings if one.kind == "extra_forbidden"}
    # The one that was meant is not missing, it is misspelt
    findings = [one for one in findings if one.kind != "missing" or one.path not in misspelt]
    # Of a union the branch that the value was meant for says more
    deeper = {one.path[:length] for one in findings for length in range(len(one.path))}
    findings = [one for one in findings if not (one.is_of_union and one.path in deeper)]
    sentences: dict[tuple[Path, str], tuple[str, list[str]]] = {}
    for one in findings:
        problem, allowed = one.sentence(document.fields(one.path), document.source_text(one.path, one.value))
        _, rules = sentences.setdefault((one.path, str(one.value) if one.is_key else ""), (problem, []))
        rules += [allowed] if allowed not in rules else []
    return [
        Problem(document.file, document.where(path), problem, ", or ".join(rules))
        for (path, _), (problem, rules) in sentences.items()
    ]


def misread_values(raw: Any, parsed: Any, document: Document, path: Path = ()) -> Iterator[Problem]:
    """A problem for each number that is written in another way than people write one: YAML reads 0100 as 64, yes as 1.
    `raw` is what the document holds at `path`, `parsed` what it became."""
    if is_mapping(raw) or is_list(raw):
        # Of a service and of a host the way has its kind in it
        tag = (parsed.kind,) if len(path) == 2 and hasattr(parsed, "kind") else ()
        for key, value in raw.items() if isinstance(raw, dict) else enumerate(raw):
            below = _part(parsed, key)
            yield from misread_values(value, below, document, (*path, *tag, key))
        return
    is_number = isinstance(parsed, int | float) and not isinstance(parsed, bool)
    if isinstance(raw, int | float) and (is_number or not isinstance(raw, bool)):
        text = document.source_text(path, raw)
        if text is not None and not DECIMAL.fullmatch(text):
            read_as = "a number" if isinstance(raw, bool) else _describe_value(raw)
            fault = f"found {_cut(text)}, which YAML reads as {read_as}"
            yield Problem(document.file, document.where(path), fault, _as_number(text))


def _part(parsed: Any, key: int | str) -> Any:
    """What an entry became, where it is found."""
    if is_mapping(parsed):
        return parsed.get(key) if isinstance(key, str) else None
    if is_list(parsed):
        return parsed[key] if isinstance(key, int) and key < len(parsed) else None
    return getattr(parsed, str(key), None)


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
        return f"write only a number, such as {match[1]}"
    return "write only a number, in digits, such as 30"


class _Finding:
    """One of pydantic's, at the place that a person wrote."""

    def __init__(self, error: Any, model: Described | None) -> None:
        self.kind: str = error["type"]
        self.value, self.context, self.message = error["input"], error.get("ctx", {}), error["msg"]
        path: Path = error["loc"]
        # The key itself of a mapping, and not what stands under it
        self.is_key = path[-1:] == ("[key]",)
        self.place = place_of(model, path[:-2] if self.is_key else path)
        # Without the tags that say which of several ways of writing was chosen
        self.path = tuple(part for part in self.place.path if not str(part).startswith("<"))
        self.is_of_union = len(self.place.path) < len(path) - 2 * self.is_key
        self.name = next((str(part) for part in reversed(self.path) if not isinstance(part, int)), "")

    def sentence(self, fields: list[str], source_text: str | None) -> tuple[str, str]:
        """What was found, and what is allowed; `source_text` is the text that the file has."""
        value, plain = self.value, source_text
        # A text is shown in quotes, so that spaces at its ends are seen
        source_text = None if value is None or isinstance(value, str) else source_text
        problem = f"found {_cut(source_text) if source_text else _describe_value(value)}"
        if self.is_key:
            return f"found the name {_describe_value(value)}", self._rule(value)
        match self.kind:
            case "extra_forbidden":
                name, is_services = str(self.path[-1]), self.path[:1] == ("services",)
                rule = INSTEAD[name] if name in INSTEAD and is_services else nearest(name, fields, "fields")
                return f"unknown field {name!r}", rule
            case "missing":
                return f"field {str(self.path[-1])!r} is missing", f"it is required{_such_as(self.name)}"
            case "union_tag_invalid" | "union_tag_not_found":
                kinds = self.context.get("expected_tags", "compose").replace("'", "")
                return (
                    f"kind {_describe_value(value.get('kind') if is_mapping(value) else value)}",
                    f"kinds: {kinds}",
                )
            case "string_type" if isinstance(value, (int, float, date)):
                return problem, self._as_text(source_text or _describe_value(value))
            case "string_type" if value is None:
                return problem, 'write a text; an empty one is ""'
            case "int_type" | "int_parsing" | "int_parsing_size" | "float_type" | "float_parsing" | "int_from_float":
                return self._no_number(plain)
            case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
                if PORT.search(self.name):
                    return f"{_describe_value(value)} is not a port", f"a port is {self._range}"
                return problem, f"{NUMBERS.get(self.name, 'a number')}: {self._range}"
            case "string_too_long":
                return f"{problem} of {len(self.value)} characters", self._rule(value)
            case "too_long":
                return f"found {len(self.value)} entries", self._rule(value)
            case _:
                return problem, self._rule(value)

    def _rule(self, value: Any) -> str:
        match self.kind:
            case "bool_type" | "bool_parsing":
                return "write true or false, without quotes"
            case "model_type" | "model_attributes_type" | "dict_type" | "dataclass_type":
                return f"a mapping{_such_as(self.name)}"
            case "list_type":
                return f"a list{_such_as(self.name)}"
            case "string_type":
                return "a text"
            case "too_short":
                return f"at least one{_such_as(self.name)}"
            case "too_long":
                return f"at most {self.context['max_length']}{_such_as(self.name)}"
            case "string_too_short":
                return "a text with at least one character"
            case "string_too_long":
                most = self.context["max_length"]
                return LONGEST.get(most, f"at most {most} characters")
            case "string_pattern_mismatch":
                return ALLOWED.get(self.context["pattern"], "a text in another format: see the docs of this field")
            case "literal_error":
                return _one_of(value, self.context["expected"])
            case "finite_number":
                return f"{NUMBERS.get(self.name, 'a number')}: {self._range}; neither .inf nor .nan is one"
            case "multiple_of":
                return f"{NUMBERS.get(self.name, 'a number')}: a multiple of {number_text(self.context['multiple_of'])}"
            case "value_error":
                return str(self.context["error"])
            case "form":
                return self.message
            case _:
                return self.message[:1].lower() + self.message[1:]

    @property
    def _range(self) -> str:
        bounds = {
            "greater_than": "above",
            "greater_than_equal": "at least",
            "less_than": "below",
            "less_than_equal": "at most",
        }
        bound = next((number_text(value) for value in self.context.values() if isinstance(value, int | float)), "")
        return self.place.bounds or f"{bounds.get(self.kind, '')} {bound}".strip() or "any finite number"

    def _no_number(self, plain: str | None) -> tuple[str, str]:
        """Of what is no number, or none in digits; `plain` is what stands in the file without quotes."""
        number = "a port" if PORT.search(self.name) else NUMBERS.get(self.name, "a number")
        among = f": {self.place.bounds}" if self.place.bounds else ""
        if isinstance(self.value, str) and plain is None:
            return f"found {_describe_value(self.value)}", f"{number}, without quotes{among}"
        if isinstance(self.value, float) and DECIMAL.fullmatch(plain or repr(self.value)):
            return f"found {_cut(plain or _describe_value(self.value))}", f"a whole number{among}"
        if isinstance(self.value, str) and not re.search("[0-9]", plain or ""):
            return f"found {_cut(plain or _describe_value(self.value))}", f"{number}, in digits{among}"
        return f"found {_cut(plain or _describe_value(self.value))}", _as_number(plain or "")

    def _as_text(self, text: str) -> str:
        """What is to be written where a text is wanted, and YAML read a number, a date or a truth."""
        refused = self.place.refusal(text)
        octal = re.fullmatch(r"(?:0o|0)?([0-7]{3})", text)
        if self.name == "mode":
            return f'write it in quotes: "0{octal[1]}"' if octal else ALLOWED[MODE]
        if refused is None:
            return f'write it in quotes: "{text}"'
        return _Finding(refused | {"loc": ()}, None).sentence([], None)[1]


def _one_of(value: Any, expected: str) -> str:
    """The words of a choice, the nearest alone where one is near."""
    quoted = r"'((?:[^'\\]|\\.)*)'"
    words: list[str] = re.findall(quoted, expected)
    # Beside words a choice may have numbers
    words = [*re.findall(r"\d+", re.sub(quoted, "", expected)), *words] if words else [expected]
    near = difflib.get_close_matches(str(value), words, 1) if isinstance(value, str) else []
    choices = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    if len(words) == 1 and not words[0]:
        return "leave it empty"
    return f"did you mean {near[0]!r}? One of: {choices}" if near and len(words) > 1 else choices


def _nearest(finding: _Finding, fields: Callable[[Path], list[str]]) -> Path | None:
    near = difflib.get_close_matches(str(finding.path[-1]), fields(finding.path), 1)
    return (*finding.path[:-1], near[0]) if near else None


def _such_as(name: str) -> str:
    return f", such as {EXAMPLES[name]}" if name in EXAMPLES else ""


def _describe_value(value: Any) -> str:
    if (is_mapping(value) or is_list(value)) and value:
        # What is in it may be secret
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer():
        return _cut(f"{value:.0f}")
    try:
        return _cut(str(value) if isinstance(value, date) else repr(value))
    except ValueError:
        # Python writes no number of thousands of digits
        return "a number with thousands of digits"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
