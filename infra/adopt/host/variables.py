"""Variables of containers: which values stay in the catalogue, and which are secrets. Pure."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from catalogue.environment import control, unwritable
from catalogue.masking import MARK, mask_secrets
from catalogue.shapes import ServiceFields, is_list, is_mapping
from infra.adopt.host.bodies import inner
from infra.adopt.host.documents import Entries
from infra.adopt.host.documents import Entry as FileEntry
from infra.adopt.host.entry import Entry
from infra.adopt.host.plain import is_plain
from infra.adopt.host.remarks import Remark, plain_value, secret, unsaid

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment_files(compose_entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Compose file and service → the files of variables that it names."""
    return {f"{entry.path} {entry.key}": files_of(entry) for entry in compose_entries}


def files_of(entry: Entry) -> list[str]:
    """The files of variables that a service of a compose file names."""
    value = entry.literal_value("env_file", [])
    items: list[Any] = value if is_list(value) else [value]
    names: list[str] = [item["path"] if is_mapping(item) else item for item in items]
    return [os.path.normpath(os.path.join(os.path.dirname(entry.path), name)) for name in names]


@dataclass(frozen=True)
class FileVariables:
    """The variables of environment files: `values` that are no secret by their form, and where all others are by their
    names (`sources`)."""

    values: dict[str, str]
    sources: dict[str, str]


def read_files(service: str, paths: list[str], files: Entries, remarks: list[Remark]) -> FileVariables:
    """What of these files becomes values of `service`, and what its secrets; the last one that has a variable counts.
    A host says which are plain, and is believed where that is so by their form."""
    variables = FileVariables({}, {})
    for path in paths:
        entry: FileEntry = files.get(path, {"kind": "none"})
        plain = {name: value for name, value in entry.get("values", {}).items() if is_plain(name, value, mask_secrets)}
        for name in entry.get("names") or []:
            variables.values.pop(name, None)
            variables.sources.pop(name, None)
            if name in plain:
                variables.values[name] = plain[name]
            else:
                variables.sources[name] = path
        for name, sign in entry.get("faults", {}).items():
            if variables.sources.get(name) == path and (fault := unwritable(sign)):
                text = f"the value of {name} in {path} has {fault}, which no environment file of a release can hold"
                remarks.append(unsaid(service, f"{text}: give it another value, and the service too"))
    remarks += [plain_value(service, name, value) for name, value in variables.values.items()]
    return variables


def environment(entry: Entry, name: str, variables: Entries, remarks: list[Remark]) -> ServiceFields:
    """Values stay values; what was masked, or is in a file and not plain by its form, is a secret."""
    values: dict[str, str] = {}
    hidden: list[str] = []
    for variable, value in inner(entry.body, "environment").items():
        text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
        if not VARIABLE.fullmatch(str(variable)):
            fault = f"its variable {variable} has no name of letters, digits and _: left out"
            remarks.append(unsaid(entry.where, fault))
        elif value is None or MARK in text or "${" in text:
            hidden.append(variable)
        elif control(text):
            remarks.append(unsaid(entry.where, f"the value of {variable} has {control(text)}: left out"))
        else:
            values[variable] = text
    paths = files_of(entry)
    for path in paths:
        if path not in variables or variables[path].get("names") is None:
            remarks.append(unsaid(entry.where, f"its environment file {path} is not there"))
    of_files = read_files(name, paths, variables, remarks)
    hidden += [variable for variable in of_files.sources if variable not in values]
    secrets = list(dict.fromkeys(hidden))
    remarks += [secret(name, variable, of_files.sources.get(variable, "")) for variable in secrets]
    return {"environment": {**of_files.values, **values}, "secrets": secrets}
