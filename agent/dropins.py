"""What a unit and its drop-ins say, by their text alone, and what of a release's a drop-in changes."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from agent.proxy import Command, Proxy

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


YES, NO = {"1", "yes", "y", "true", "t", "on"}, {"0", "no", "n", "false", "f", "off"}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([BKMGTPE]?)")
SIZES = {unit: 1024**power for power, unit in enumerate("BKMGTPE")} | {"": 1}
TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*")
TIMES = {
    **dict.fromkeys(("us", "usec"), 1e-6), **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1), **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600), **dict.fromkeys(("d", "day", "days"), 86400),
}  # fmt: skip
ASKED = ("Condition", "Assert")  # a unit is not started where one of these does not hold


class Directive(NamedTuple):
    """`file` is the name of the drop-in that it stands in, "" for the unit itself: systemd reads them in this order."""

    section: str
    name: str
    value: str
    file: str = ""


def directives(content: bytes, file: str = "") -> list[Directive]:
    """What a unit or drop-in says, in its order; [Install] means nothing in a drop-in."""
    section = ""
    entries: list[Directive] = []
    text = re.sub(r"\\\n\s*", " ", content.decode(errors="replace"))
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line and not line.startswith(("#", ";")) and section != "Install":
            name, value = (part.strip() for part in line.split("=", 1))
            entries.append(Directive(section, OTHER_NAMES.get(name, name), value, file))
    return entries


def overridden_settings(
    released: list[Directive], others: list[Directive], from_files: frozenset[str] = frozenset()
) -> list[str]:
    """The directives that a drop-in gives another value than the release; of variables their names, and no value. What
    systemd adds up is overridden only where it is emptied first. `from_files` are the variables of the release's
    environment files."""
    last = {(entry.section, entry.name): entry for entry in released}
    variables = {name: value for entry in released if entry.name == "Environment" for name, value in _variables(entry)}
    released_settings = {entry[:3] for entry in released}
    names_overridden: list[str] = []
    for entry in others:
        ours = last.get((entry.section, entry.name))
        if entry.name == "Environment":
            again = [f"Environment={name}" for name, value in _variables(entry) if variables.get(name, value) != value]
            names_overridden += again if entry.value or not variables else ["Environment"]
        elif entry.name == "EnvironmentFile" and entry.value:
            names_overridden += ["EnvironmentFile"] if variables or ours else []
        elif entry.name == "UnsetEnvironment" and entry.value:
            names = [word.partition("=")[0] for word in _words(entry)]
            names_overridden += [
                f"UnsetEnvironment={name}" for name in names if name in variables or name in from_files
            ]
        elif entry.name.startswith(ASKED) and entry.value:
            names_overridden += [entry.name] if entry[:3] not in released_settings else []
        elif ours and (
            not entry.value if entry.name in ADDED else _meaning(entry) != _meaning(ours) and entry.file > ours.file
        ):
            names_overridden.append(entry.name)
    return list(dict.fromkeys(names_overridden))


def starts_otherwise(proxy: Proxy, directives_in_force: list[Directive]) -> bool:
    """Does it start a proxy by a command that is not certain to take the release's configuration."""
    commands = [
        _words(entry) for entry in directives_in_force if (entry.section, entry.name) == ("Service", "ExecStart")
    ]
    return any(words and not proxy.starts_ours(_command(words)) for words in commands)


def _command(words: list[str]) -> Command:
    folder, _, program = words[0].lstrip("-@:+!|").rpartition("/")
    options: dict[str, str] = {}
    for word, after in zip(words[1:], [*words[2:], ""]):
        if word.startswith("--"):
            name, sign, value = word.partition("=")
            options[name] = value if sign else after
        elif word.startswith("-"):
            options[word[:2]] = word[2:] or after
    return Command(folder, program, words[1:], options)


def variables_of(content: bytes) -> list[str]:
    """The names of an environment file's variables."""
    lines = content.decode(errors="replace").splitlines()
    return [
        line.partition("=")[0].strip() for line in lines if "=" in line and not line.lstrip().startswith(("#", ";"))
    ]


def _meaning(entry: Directive) -> object:
    """A value as systemd understands it: one thing can be written in several ways."""
    name, value = entry.name, entry.value
    if value.lower() in YES | NO:
        return value.lower() in YES
    if name.endswith("Sec"):
        parts = TIME.findall(value)
        if TIME.sub("", value) == "" and all(unit in TIMES for _, unit in parts):
            return round(sum(float(number) * TIMES[unit] for number, unit in parts), 6)
    elif name.startswith(("Memory", "Limit")):
        # A limit alone is both of its two
        parts = [SIZE.fullmatch(part) for part in value.split(":")]
        sizes = [float(part[1]) * SIZES[part[2]] if part else value for part in parts]
        return (sizes * 2)[:2] if name.startswith("Limit") else sizes
    return value


def _variables(entry: Directive) -> list[tuple[str, str]]:
    return [(name, value) for name, sign, value in (word.partition("=") for word in _words(entry)) if sign]


def _words(entry: Directive) -> list[str]:
    try:
        return shlex.split(entry.value)
    except ValueError:
        return entry.value.split()
