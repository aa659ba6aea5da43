"""Variables of containers: which values stay in the catalogue, and which are secrets. Pure."""

import os
import re
from collections.abc import Iterable
from typing import Any

from catalogue.environment import control
from catalogue.masking import MARK
from catalogue.shapes import is_list, is_mapping
from infra.adopt.host.bodies import inner
from infra.adopt.host.documents import Entries
from infra.adopt.host.entry import Entry
from infra.adopt.host.remarks import Remark, secret, unsaid

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment_files(compose_entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Compose file and service → the files of variables that it names."""
    return {f"{entry.path} {entry.key}": _environment_files(entry) for entry in compose_entries}


def _environment_files(entry: Entry) -> list[str]:
    value = entry.literal_value("env_file", [])
    items: list[Any] = value if is_list(value) else [value]
    names: list[str] = [item["path"] if is_mapping(item) else item for item in items]
    return [os.path.normpath(os.path.join(os.path.dirname(entry.path), name)) for name in names]


def environment(entry: Entry, name: str, variables: Entries, remarks: list[Remark]) -> dict[str, Any]:
    """Values stay values; what was masked, or is in a file whose values may not be read, is a secret."""
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
    for path in _environment_files(entry):
        names = variables[path].get("names") if path in variables else None
        if names is None:
            remarks.append(unsaid(entry.where, f"its environment file {path} is not there"))
        hidden += [name for name in names or [] if name not in values]
    secrets = list(dict.fromkeys(hidden))
    remarks += [secret(name, variable) for variable in secrets]
    return {"environment": values, "secrets": secrets}
