"""What was read off a host and cannot be said: errors of `infra check`, until a person answers each. Pure."""

from typing import Any

from catalogue.shapes import ServiceFields, SystemFields
from infra.adopt.host.remarks import Remark
from infra.foreign import one_line

MOST = 500  # letters of a line


def attach(system: SystemFields, remarks: list[Remark]) -> None:
    """Gives each such remark to the service that it is about, or else to the system itself."""
    lines: list[str] = []
    for remark in dict.fromkeys(remarks):
        if remark.kind == "cannot be said":
            own = next((service for service in system["services"] if remark.where in _names(service)), None)
            if own:
                own.setdefault("unresolved", []).append(_line(remark.text))
            else:
                lines.append(_line(f"{remark.where}: {remark.text}"))
    if lines:
        system["unresolved"] = lines


def _names(service: ServiceFields) -> set[Any]:
    """What a service is called in remarks: by its name, its container, or its unit alone."""
    account = service.get("account")
    unit = service["unit"] if service["kind"] != "compose" else None
    return {service["name"], service.get("container"), f"{account}/{unit}" if account else unit}


def _line(text: str) -> str:
    line = one_line(text).strip().rstrip("\\")
    return line if len(line) <= MOST else f"{line[:MOST]}…"
