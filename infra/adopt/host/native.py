"""Native services as the catalogue has them: from units, their drop-ins, and what their processes listen on. Pure."""

import re
from typing import Any

from catalogue.masking import MARK, VARIABLE
from catalogue.shapes import ServiceFields
from catalogue.systemd.directives import Section, Sections, judge, text, texts
from catalogue.systemd.parsing import sections
from infra.adopt.host import variables
from infra.adopt.host.documents import Entries, Facts, Unit
from infra.adopt.host.remarks import Remark, secret, unfit, unsaid

OWN = {"service": "Service", "timer": "Timer"}
SIZE = re.compile(r"[1-9]\d*[KMG]")
# What comes with the system itself is there
OF_SYSTEM = ("/usr/bin/", "/usr/sbin/", "/usr/lib/", "/bin/", "/sbin/", "/lib/")


def service_units(facts: Facts, used: set[str], remarks: list[Remark]) -> list[Unit]:
    """The units that become services: all but those of containers (`used`), jobs of timers and sockets."""
    timers = {_key(unit, "service") for unit in facts["units"] if unit["name"].endswith(".timer")}
    units: list[Unit] = []
    for unit in facts["units"]:
        own = sections(unit["text"])
        where = unit_label(unit)
        if unit["name"].endswith(".socket") or _key(unit) in used | timers or "X-Snappy" in unit["text"]:
            continue
        if not (unit["enabled"] or unit["active"] or unit["instances"]):
            remarks.append(unfit(where, "is neither enabled nor running: it is left out"))
        elif _is_oneshot(own) and text(_one(own, "RemainAfterExit", "no")) not in ("yes", "true"):
            remarks.append(
                unfit(where, "is a oneshot without RemainAfterExit, so its success cannot be seen: it is left out")
            )
        elif "@." in unit["name"] and not unit["instances"]:
            remarks.append(unfit(where, "is a template of which no instance is enabled: it is left out"))
        else:
            units.append(unit)
    return units


def _key(unit: Unit, kind: str = "") -> str:
    stem, own = unit["name"].rsplit(".", 1)
    return f"{unit['account']}/{stem}.{kind or own}"


def unit_label(unit: Unit) -> str:
    return f"{unit['account']}/{unit['name']}" if unit["account"] else unit["name"]


def _is_oneshot(own: Sections) -> bool:
    return _one(own, "Type", "simple") == "oneshot"


def _one(own: Sections, name: str, default: Any = None) -> Any:
    value = own.get("Service", {}).get(name, default)
    return value[-1] if isinstance(value, list) else value


def name_of(unit: Unit) -> str:
    stem = unit["name"].rsplit(".", 1)[0].lower()
    return f"{stem.removesuffix('@')}-instances" if stem.endswith("@") else stem


def service(unit: Unit, facts: Facts, files: Entries, remarks: list[Remark]) -> ServiceFields:
    """A service of the catalogue, without its routes."""
    name, where = name_of(unit), unit_label(unit)
    kind = "timer" if unit["name"].endswith(".timer") else "oneshot" if _is_oneshot(sections(unit["text"])) else "unit"
    own = accepted_sections(
        where, sections(unit["text"]), ["Unit", "Timer" if kind == "timer" else "Service", "Install"], remarks
    )
    job_unit = _beside(facts, unit, "service") if kind == "timer" else None
    job = accepted_sections(where, sections(job_unit["text"]) if job_unit else {}, ["Unit", "Service"], remarks)
    main = dict((job if kind == "timer" else own).get("Service", {}))
    if kind == "timer" and main.get("Type") == "oneshot":
        del main["Type"]
    fields: ServiceFields = {
        "name": name, "kind": kind, "purpose": texts(own.get("Unit", {}).get("Description", name))[-1],
        "unit": unit["name"], "account": unit["account"] or None, "instances": unit["instances"],
        **_variables(where, name, main, files, remarks),
    }  # fmt: skip
    drop_ins = {
        path.rsplit("/", 1)[1].removesuffix(".conf"): accepted_sections(
            path, sections(text), ["Unit", "Service", "Timer"], remarks
        )
        for path, text in unit["drop_ins"].items()
    }
    limit = main.get("MemoryMax")
    if isinstance(limit, str) and SIZE.fullmatch(limit) and not any(_one(d, "MemoryMax") for d in drop_ins.values()):
        fields["memory"] = {"limit": limit.lower()}
        del main["MemoryMax"]
    fields |= _listening(unit, facts, own, remarks)
    fields["needs"] = _needs(main, files)
    whole = job if kind == "timer" else own
    directives = {section: block for section, block in {**whole, "Service": main}.items() if block}
    fields |= {"directives": own, "job": directives} if kind == "timer" else {"directives": directives}
    return fields | {"drop_ins": {stem: accepted for stem, accepted in drop_ins.items() if accepted}}


def accepted_sections(where: str, source: Sections, allowed: list[str], remarks: list[Remark]) -> Sections:
    """Without what the catalogue would refuse."""
    accepted: Sections = {}
    for section, block in source.items():
        for name, value in block.items():
            errors = [finding for finding in judge({section: {name: value}}, allowed) if finding.level == "error"]
            if errors:
                remarks.append(unsaid(where, f"{errors[0].fault}: {errors[0].rule}; it is left out"))
            else:
                accepted.setdefault(section, {})[name] = value
                if name != "Environment" and any(MARK in line for line in texts(value)):
                    text = f"{name} has a secret in it, and {MARK} stands for it: hand it over as a variable (secrets:)"
                    remarks.append(unsaid(where, text))
    return accepted


def _variables(where: str, name: str, main: Section, files: Entries, remarks: list[Remark]) -> ServiceFields:
    """Takes them out of the unit's directives."""
    values: dict[str, str] = {}
    hidden: list[str] = []
    for line in texts(main.pop("Environment", [])):
        for match in VARIABLE.finditer(line):
            if MARK in match["value"]:
                hidden.append(match["name"])
            else:
                values[match["name"]] = match["value"]
    paths = [line.removeprefix("-") for line in texts(main.pop("EnvironmentFile", [])) if line]
    of_files = variables.read_files(name, paths, files, remarks)
    values |= of_files.values
    hidden += [variable for variable in of_files.sources if variable not in hidden]
    if len(paths) > 1:
        remarks.append(unfit(where, f"has {len(paths)} environment files: all variables go into {paths[0]}"))
    secrets = list(dict.fromkeys(hidden))
    if secrets and not paths:
        paths = [f"/etc/{name}.env"]
        remarks.append(unfit(where, f"has secrets in its unit, which every user can read: they go into {paths[0]}"))
    remarks += [secret(name, variable, of_files.sources.get(variable, "")) for variable in secrets]
    plain = {name: value for name, value in values.items() if name not in secrets}
    fields: ServiceFields = {"environment": plain, "secrets": secrets, "environment_file": paths[0] if paths else None}
    # systemd reads them in what stands in a unit
    return fields | ({"specifiers": True} if any("%" in value for value in plain.values()) else {})


def _listening(unit: Unit, facts: Facts, own: Sections, remarks: list[Remark]) -> ServiceFields:
    """Its port: its socket's, or the one that its processes listen on."""
    socket_unit = _beside(facts, unit, "socket")
    if socket_unit:
        streams = texts(sections(socket_unit["text"]).get("Socket", {}).get("ListenStream", []))
        ports = [int(word) for line in streams if re.fullmatch(r"[0-9]{1,5}", word := line.rsplit(":", 1)[-1])]
        if len(ports) == 1:
            _without_socket(own, socket_unit["name"])
            return {"port": ports[0], "socket": True}
        remarks.append(unsaid(unit_label(unit), f"its socket listens on {', '.join(streams)}: a service has one port"))
    if len(unit["ports"]) > 1:
        text = f"listens on {', '.join(map(str, unit['ports']))}: a service has one port, {unit['ports'][0]} is taken"
        remarks.append(unfit(unit_label(unit), text))
    return {"port": unit["ports"][0]} if unit["ports"] else {}


def _without_socket(own: Sections, socket: str) -> None:
    """The program says by itself that a service needs its socket."""
    unit = own.get("Unit", {})
    remaining = [name for line in texts(unit.get("Requires", [])) for name in line.split() if name != socket]
    if remaining:
        unit["Requires"] = " ".join(remaining)
    else:
        unit.pop("Requires", None)


def _beside(facts: Facts, unit: Unit, kind: str) -> Unit | None:
    key = _key(unit, kind)
    return next((other for other in facts["units"] if _key(other) == key), None)


def _needs(main: Section, files: Entries) -> list[str]:
    """The programs of its own that it runs: a release is refused where one is missing."""
    return [path for path in programs(main) if path in files and files[path]["kind"] == "file"]


def programs(main: Section) -> list[str]:
    words = [word.lstrip("-@:+!|") for line in texts(main.get("ExecStart", [])) for word in line.split()]
    return list(
        dict.fromkeys(word for word in words if re.fullmatch(r"/[^\s%$\"']+[^/]", word) and not _of_system(word))
    )


def _of_system(path: str) -> bool:
    return path.startswith((*OF_SYSTEM, "/dev/", "/proc/", "/sys/", "/run/"))


def directories(main: Section) -> list[str]:
    """Where it works and writes."""
    lines = [line for name in ("WorkingDirectory", "ReadWritePaths") for line in texts(main.get(name, []))]
    words = [word.lstrip("-+") for line in lines for word in line.split()]
    return list(dict.fromkeys(word for word in words if re.fullmatch(r"/[^\s%]+[^\s/%]", word)))
