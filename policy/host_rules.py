"""The rules for the files of a release on a host."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypedDict

import yaml

from catalogue.masking import MARK, looks_secret, mask_secrets
from catalogue.masking.names import SHAPES
from catalogue.systemd.parsing import assignments
from policy.facts import Facts, Finding, files_ending

ASSIGNED = re.compile(r"(?:export )?([\w.-]+)=")
# The placeholder for a secret in previews
HIDDEN = re.compile(rf"\[secret [^\]]*\]|{MARK}\w*")
# How a secret is kept, and no secret: `type = htpasswd` in a section `auth`. A preview hides it all the same
KIND = re.compile(r"(?:[\w.-]*[-_.])?(?:type|encryption|encoding|filename|algorithm) ?[=:] ?…")
# Files that sites serve are public: their scripts name secrets but hold none
PUBLISHED = "/var/www/"
YES = ("yes", "true", "on", "1", "y", "t")
# Directives whose values add up
LISTS = {
    "CapabilityBoundingSet",
    "ReadWritePaths",
    "RestrictAddressFamilies",
    "SystemCallArchitectures",
    "SystemCallFilter",
}
STRICTER = {("ProtectSystem", "full"): ("strict",), ("ProtectHome", "read-only"): ("yes", "true", "on", "1", "tmpfs")}


def plain_secrets(facts: Facts) -> Iterator[Finding]:
    """No secret is in plain text in the catalogue, since git keeps it for ever; every rendered file is searched."""
    reported: set[tuple[str, str]] = set()
    # Files that hosts share are searched once
    mask = cache(_mask)
    for place, names in facts.plain.items():
        for name in names:
            if looks_secret(name):
                reported.add((place, name))
                yield _plain_secret(place, name)
    for host, files in facts.files.items():
        for path, text in files.items():
            place = f"{host}:{path}"
            plain = facts.plain.get(place)
            for line in mask(path, text).splitlines():
                if not HIDDEN.search(line):
                    continue
                name = ASSIGNED.match(line)
                # An environment file has the marks of its secrets, whose values come with the release
                if plain is not None and not (name and name[1] in plain):
                    continue
                what = name[1] if name and plain is not None else HIDDEN.sub("…", line.strip())
                if (place, what) not in reported and not KIND.fullmatch(what):
                    reported.add((place, what))
                    yield _plain_secret(place, what)


def _mask(path: str, text: str) -> str:
    if not path.startswith(PUBLISHED):
        return mask_secrets(path, text)
    for shape in SHAPES:
        text = shape.sub(MARK, text)
    return text


def _plain_secret(place: str, what: str) -> Finding:
    rule = "list it under secrets:, set a new value with infra secret set, and revoke this one: it is in git"
    return Finding("plain-secret", place, f"{what} is in plain text in the catalogue", rule)


def hardening(facts: Facts) -> Iterator[Finding]:
    """A unit keeps the protection that its document requires."""
    for host, path, text in files_ending(facts, (".service",)):
        name = path.rsplit("/", 1)[1]
        documented = hardening_document().get(name)
        if documented is None:
            continue
        texts = [text, *(text for _, text in sorted(_drop_ins(facts, host, path)))]
        in_force = _in_force(texts)
        missing = [line for line in documented["directives"] if not _is_kept(line, in_force)]
        outside = [
            v for name in in_force if name.startswith("Exec") for v in in_force[name] if re.match(r"[-@:]*[+!]", v)
        ]
        if missing or outside:
            fault = f"lacks {', '.join([*missing, *(f'any protection of {value}' for value in outside)])}"
            yield Finding("hardening", f"{host}:{path}", fault, f"its document requires it ({documented['document']})")


def _drop_ins(facts: Facts, host: str, unit_path: str) -> Iterator[tuple[str, str]]:
    """File name and text of every drop-in of a unit; systemd reads them in the order of their names."""
    folder, _, unit = unit_path.rpartition("/")
    manager = _manager(folder)
    names = drop_in_folders(unit)
    for of, path, text in files_ending(facts, (".conf",)):
        parent, _, name = path.rpartition("/")
        above, _, last = parent.rpartition("/")
        if of == host and last in names and _manager(above) == manager:
            yield name, text


def _manager(folder: str) -> str:
    """Which service manager reads a folder: "system", "user" (every account's), or the folder itself (one account)."""
    match = re.search(r"/systemd/(system|user)(\.\w+)?$", folder)
    return match[1] if match else folder


def drop_in_folders(unit: str) -> set[str]:
    """`a-b.service` has drop-ins in a-b.service.d, a-.service.d and service.d; `a@1.service` in a@.service.d too."""
    stem, _, kind = unit.rpartition(".")
    parts = stem.split("-")
    prefixes = {"-".join(parts[:count]) + "-" for count in range(1, len(parts))}
    template = {f"{stem.partition('@')[0]}@"} if "@" in stem else set()
    return {f"{kind}.d", *(f"{name}.{kind}.d" for name in {stem, *prefixes, *template})}


def _in_force(texts: list[str]) -> dict[str, list[str]]:
    """Directive of [Service] → its values: they add up until an empty one, as systemd reads lists."""
    values: dict[str, list[str]] = {}
    for text in texts:
        for section, name, value in assignments(text):
            if section == "Service":
                values[name] = [*values.get(name, []), value] if value else []
    return values


def _is_kept(line: str, in_force: dict[str, list[str]]) -> bool:
    """Whether a documented directive is in force: its last value counts; a list must be exactly the documented one."""
    name, _, documented_value = line.partition("=")
    values = in_force.get(name, [])
    if name in LISTS:
        return set(documented_value.split()) == {word for value in values for word in value.split()}
    last = values[-1] if values else ""
    if documented_value.lower() in YES:
        return last.lower() in YES
    return last == documented_value or last in STRICTER.get((name, documented_value), ())


class Hardening(TypedDict):
    """The directives that a unit must have, and the document that requires them."""

    document: str
    directives: list[str]


@cache
def hardening_document() -> dict[str, Hardening]:
    """The protection of each unit by its file's name (policy/hardening.yaml)."""
    return yaml.safe_load((Path(__file__).parent / "hardening.yaml").read_text(encoding="utf-8"))
