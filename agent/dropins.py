"""What a unit and its drop-ins say, by their text alone, and what of a release's a drop-in changes."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

# What systemd adds up over a unit and its drop-ins
ADDED = {
    "After", "Before", "Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Conflicts", "OnFailure",
    "Documentation", "PassEnvironment", "UnsetEnvironment", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths",
    "ExecPaths", "NoExecPaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "SupplementaryGroups",
    "CapabilityBoundingSet", "AmbientCapabilities", "SystemCallFilter", "RestrictAddressFamilies", "DeviceAllow",
    "LoadCredential", "SetCredential", "LogExtraFields", "ExecStart", "ExecStartPre", "ExecStartPost",
    "ExecCondition", "ExecReload", "ExecStop", "ExecStopPost", "RequiresMountsFor", "RuntimeDirectory",
    "StateDirectory", "CacheDirectory", "LogsDirectory", "ConfigurationDirectory", "OnCalendar", "ListenStream",
    "ConditionPathExists",
}  # fmt: skip
OTHER_NAMES = {"MemoryLimit": "MemoryMax", "CPUShares": "CPUWeight", "StartLimitInterval": "StartLimitIntervalSec"}


class Directive(NamedTuple):
    """`file` is the name of the drop-in that it stands in, "" for the unit itself: systemd reads them in this order."""

    section: str
    name: str
    value: str
    file: str = ""


def directives(content: bytes, file: str = "") -> list[Directive]:
    """What a unit or drop-in says, in its order; [Install] means nothing in a drop-in."""
    section, found = "", []
    text = re.sub(r"\\\n\s*", " ", content.decode(errors="replace"))
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line and not line.startswith(("#", ";")) and section != "Install":
            name, value = (part.strip() for part in line.split("=", 1))
            found.append(Directive(section, OTHER_NAMES.get(name, name), value, file))
    return found


def overridden(released: list[Directive], others: list[Directive]) -> list[str]:
    """The directives that a drop-in gives another value than the release; of variables their names, and no value. What
    systemd adds up is overridden only where it is emptied first."""
    last = {(entry.section, entry.name): entry for entry in released}
    variables = {name: value for entry in released if entry.name == "Environment" for name, value in _variables(entry)}
    found: list[str] = []
    for entry in others:
        ours = last.get((entry.section, entry.name))
        if entry.name == "Environment":
            again = [f"Environment={name}" for name, value in _variables(entry) if variables.get(name, value) != value]
            found += again if entry.value or not variables else ["Environment"]
        elif entry.name == "EnvironmentFile" and entry.value:
            found += ["EnvironmentFile"] if variables or ours else []
        elif ours and (
            not entry.value if entry.name in ADDED else entry.value != ours.value and entry.file > ours.file
        ):
            found.append(entry.name)
    return list(dict.fromkeys(found))


def _variables(entry: Directive) -> list[tuple[str, str]]:
    try:
        words = shlex.split(entry.value)
    except ValueError:
        words = entry.value.split()
    return [(name, value) for name, sign, value in (word.partition("=") for word in words) if sign]
