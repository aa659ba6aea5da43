"""A service of a compose file in one way of writing; what is written in no known way is left out, and said. Pure."""

from typing import Any

from catalogue.masking import MARK
from infra.adopt.host.remarks import Remark, unfit

# What may stand under a name that is looked into; masking may have put a word there
KINDS: dict[str, tuple[type, ...]] = {
    "environment": (dict,), "env_file": (str, list), "ports": (list,), "networks": (dict, list), "healthcheck": (dict,),
    "deploy": (dict,), "depends_on": (dict, list), "volumes": (list,), "labels": (dict, list), "sysctls": (dict, list),
    "ulimits": (dict,), "extra_hosts": (dict, list),
}  # fmt: skip


def readable(where: str, given: dict[str, Any], remarks: list[Remark]) -> dict[str, Any]:
    """With environments by their names, and nothing that is not what compose takes there."""
    made = dict(given)
    if isinstance(made.get("environment"), list):
        pairs = [str(item).split("=", 1) for item in made["environment"]]
        made["environment"] = {pair[0]: pair[1] if len(pair) > 1 else None for pair in pairs}
    for name, kinds in KINDS.items():
        if made.get(name) is not None and not isinstance(made[name], kinds):
            said = "stays on the host, since it may be a secret" if made.pop(name) == MARK else "cannot be read"
            remarks.append(unfit(where, f"its {name} {said}: left out"))
    for name, fits in (("env_file", _is_file), ("ports", _is_port), ("networks", _is_word)):
        if isinstance(made.get(name), list):
            kept = [item for item in made[name] if fits(item)]
            for item in made[name]:
                if not fits(item):
                    remarks.append(unfit(where, f"{item} in its {name} cannot be read: left out"))
            made[name] = kept
    if isinstance(made.get("networks"), dict):
        made["networks"] = {name: told if isinstance(told, dict) else {} for name, told in made["networks"].items()}
    return made


def _is_word(item: Any) -> bool:
    return isinstance(item, str)


def _is_file(item: Any) -> bool:
    return isinstance(item, str) or (isinstance(item, dict) and isinstance(item.get("path"), str))


def _is_port(item: Any) -> bool:
    return isinstance(item, str | int) or (isinstance(item, dict) and "target" in item)


def inner(given: dict[str, Any], *names: str) -> dict[str, Any]:
    """A mapping inside others; nothing where one of them is none."""
    for name in names:
        found = given.get(name)
        given = found if isinstance(found, dict) else {}
    return given
