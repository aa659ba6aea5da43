"""Directives by section: which there are, what obsolete ones are called now, and what is wrong with a set of them."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from catalogue.systemd.values import expected_form

Value = bool | int | float | str
# Directives of a section of a unit, and sections of a unit
Section = dict[str, Value | list[Value]]
Sections = dict[str, Section]
# Name of old → section and name of now
MOVED: dict[tuple[str, str], tuple[str, str]] = {
    ("Service", "MemoryLimit"): ("Service", "MemoryMax"),
    ("Service", "StartLimitInterval"): ("Unit", "StartLimitIntervalSec"),
    ("Service", "StartLimitIntervalSec"): ("Unit", "StartLimitIntervalSec"),
    ("Service", "StartLimitBurst"): ("Unit", "StartLimitBurst"),
    ("Service", "StartLimitAction"): ("Unit", "StartLimitAction"),
    ("Service", "FailureAction"): ("Unit", "FailureAction"),
    ("Service", "RebootArgument"): ("Unit", "RebootArgument"),
    ("Service", "ReadWriteDirectories"): ("Service", "ReadWritePaths"),
    ("Service", "ReadOnlyDirectories"): ("Service", "ReadOnlyPaths"),
    ("Service", "InaccessibleDirectories"): ("Service", "InaccessiblePaths"),
    ("Unit", "StartLimitInterval"): ("Unit", "StartLimitIntervalSec"),
    ("Unit", "BindTo"): ("Unit", "BindsTo"),
    ("Unit", "PropagateReloadTo"): ("Unit", "PropagatesReloadTo"),
    ("Unit", "PropagateReloadFrom"): ("Unit", "ReloadPropagatedFrom"),
    ("Journal", "RateLimitInterval"): ("Journal", "RateLimitIntervalSec"),
}
# A unit that stops or restarts takes those along that name it here
TIES = ("Requires", "Requisite", "BindsTo", "PartOf")
# Gone without one of the same meaning
GONE = {
    "CPUShares": "CPUWeight",
    "StartupCPUShares": "StartupCPUWeight",
    "BlockIOWeight": "IOWeight",
    "BlockIOReadBandwidth": "IOReadBandwidthMax",
    "BlockIOWriteBandwidth": "IOWriteBandwidthMax",
    "PermissionsStartOnly": "ExecStartPre=+COMMAND",
}


@dataclass(frozen=True)
class Finding:
    fault: str
    rule: str
    level: Literal["error", "warning"] = "error"


@cache
def table() -> dict[str, dict[str, str]]:
    """Section → directive → kind of value, in the order in which they are rendered."""
    return yaml.load((Path(__file__).parent / "directives.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


UNWRITABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]|\\\s*$")


def text(value: Value) -> str:
    """A value as systemd reads it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def texts(value: Value | list[Value]) -> list[str]:
    """Every line of a directive: a list gives one line each."""
    return [text(item) for item in (value if isinstance(value, list) else [value])]


def lines(parts: Iterable[Sections]) -> Iterator[tuple[str, str]]:
    """Every line of sets of sections: its directive, and its value."""
    for sections in parts:
        for directives in sections.values():
            yield from ((name, line) for name, value in directives.items() for line in texts(value))


def canonical(sections: Sections) -> Sections:
    """The same under the names of now, sections and directives in the order in which they are rendered."""
    moved: Sections = {}
    for section, directives in sections.items():
        for name, value in directives.items():
            home, now = MOVED.get((section, name), (section, name))
            moved.setdefault(home, {})[now] = value
    return {
        section: {name: moved[section][name] for name in names if name in moved[section]}
        for section, names in table().items()
        if section in moved
    }


def judge(sections: Sections, allowed_sections: list[str]) -> Iterator[Finding]:
    """What is wrong with these sections, of which only the `allowed_sections` ones may be there."""
    for section, directives in sections.items():
        if section not in allowed_sections:
            near = difflib.get_close_matches(section, allowed_sections, 1)
            yield Finding(
                f"unknown section [{section}]",
                f"did you mean [{near[0]}]?" if near else f"sections: {', '.join(allowed_sections)}",
            )
            continue
        for name, value in directives.items():
            yield from _directive(sections, section, name, value)


def _directive(sections: Sections, section: str, name: str, value: Value | list[Value]) -> Iterator[Finding]:
    where = f"[{section}] {name}"
    home, now = MOVED.get((section, name), (section, name))
    if (home, now) != (section, name):
        if now in sections.get(home, {}):
            yield Finding(f"{where} and [{home}] {now}", "keep the new name of the same setting")
        yield Finding(f"{where} is obsolete", f"use its new name, [{home}] {now}", "warning")
    if name in GONE:
        yield Finding(
            f"{where} is for the old control groups (v1)", f"use {GONE[name]}, whose values have another meaning"
        )
        return
    kinds = table()[home]
    if now not in kinds:
        yield Finding(f"unknown directive {where}", _nearest(section, name))
        return
    for line in texts(value):
        if UNWRITABLE.search(line):
            # A unit's line ends at each of \n, \r and NUL, and goes on after a backslash
            yield Finding(
                f"{where}: a control character, or a \\ at the end, in {line!r}", "one line; write a list for several"
            )
        elif rule := expected_form(kinds[now], line):
            yield Finding(f"{where}: {line!r}", rule)


def _nearest(section: str, name: str) -> str:
    elsewhere = [other for other, names in table().items() if name in names and other != "Journal"]
    if elsewhere:
        return f"it belongs to [{elsewhere[0]}]"
    near = difflib.get_close_matches(name, [*table()[section], *GONE], 1)
    return f"did you mean {near[0]}?" if near else f"see systemd's manual for the directives of [{section}]"
