"""Common parts of the host's watches: the unit that runs a watch, and the units of services that are bound to it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalogue.service import Service
from rendering.compose import UNITS
from rendering.files import File, HostFiles, Unit
from rendering.templates import BANNER, fill

AGENT = Path(__file__).parent.parent / "agent"


def watch(source: str, unit: str, config: str, value: Any, parts: list[str], **values: Any) -> HostFiles:
    """A watch's unit and configuration. `parts` are the agent's files that it runs: a change of one of them restarts
    it."""
    code = hashlib.sha256(b"".join((AGENT / f"{name}.py").read_bytes() for name in parts)).hexdigest()[:12]
    files = [
        File(config, json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"),
        File(f"{UNITS}/{unit}", fill(f"{unit}.j2", source, code=code, **values)),
    ]
    return HostFiles("", files=files, units=[Unit(unit, [file.path for file in files])])


def bind_unit(files: HostFiles, source: str, service: Service, name: str, lines: list[str], **paths: str) -> HostFiles:
    """A system's files with a service's unit bound to a watch: by a drop-in of this name, and by `paths` of its Unit
    (`flag`, `bar`). `source` is the system's file."""
    banner = BANNER.format(source=source)
    drop_in = File(f"{UNITS}/{service.unit}.d/{name}.conf", "\n".join([banner, *lines, ""]).encode())

    def of(unit: Unit) -> Unit:
        if unit.name != service.unit:
            return unit
        return replace(unit, files=[*unit.files, drop_in.path], **paths)

    return replace(files, files=[*files.files, drop_in], units=[of(unit) for unit in files.units])
