"""A service of a compose file in one way of writing; what is written in no known way is left out, and said. Pure."""

import re
from typing import Any

from catalogue.masking import MARK, mask_secrets
from catalogue.shapes import ComposeBody, is_list, is_mapping
from infra.adopt.host.remarks import Remark, unsaid

# What may stand under a name that is looked into; masking may have put a word there
KINDS: dict[str, tuple[type, ...]] = {
    "environment": (dict,), "env_file": (str, list), "ports": (list,), "networks": (dict, list), "healthcheck": (dict,),
    "deploy": (dict,), "depends_on": (dict, list), "volumes": (list,), "labels": (dict, list), "sysctls": (dict, list),
    "ulimits": (dict,), "extra_hosts": (dict, list),
}  # fmt: skip


# What is looked at in a way of its own, whatever stands in it
READ_BY_ITSELF = {"image", "container_name", "environment", "env_file", "ports", "networks", "mem_limit"}
# An option whose value is a password, in the ways of database clients; a value behind a word that says so
PASSWORD = re.compile(
    r"(?:^|\s)(?:-p(?!\d+(?:\s|$))\S+|(?:-a|-p|--pass\S*|--auth\S*)[\s=]+(?!\d+(?:\s|$))\S)|auth\("
    r"|(?:secret|passw|token|key)\S*\s*[=: ]\s*\S",
    re.IGNORECASE,
)


def readable(where: str, service: ComposeBody, remarks: list[Remark]) -> ComposeBody:
    """With environments by their names, and nothing that is not what compose takes there."""
    body = dict(service)
    if isinstance(body.get("environment"), list):
        pairs = [str(item).split("=", 1) for item in body["environment"]]
        body["environment"] = {pair[0]: pair[1] if len(pair) > 1 else None for pair in pairs}
    for name, kinds in KINDS.items():
        if body.get(name) is not None and not isinstance(body[name], kinds):
            reason = "stays on the host, since it may be a secret" if body.pop(name) == MARK else "cannot be read"
            remarks.append(unsaid(where, f"its {name} {reason}: left out"))
    for name, fits in (("env_file", _is_file), ("ports", _is_port), ("networks", _is_word)):
        if isinstance(body.get(name), list):
            fitting = [item for item in body[name] if fits(item)]
            for item in body[name]:
                if not fits(item):
                    remarks.append(unsaid(where, f"{item} in its {name} cannot be read: left out"))
            body[name] = fitting
    if isinstance(body.get("networks"), dict):
        body["networks"] = {name: network if is_mapping(network) else {} for name, network in body["networks"].items()}
    return body


def _is_word(item: Any) -> bool:
    return isinstance(item, str)


def _is_file(item: Any) -> bool:
    return isinstance(item, str) or (is_mapping(item) and isinstance(item.get("path"), str))


def _is_port(item: Any) -> bool:
    return isinstance(item, str | int) or (isinstance(item, dict) and "target" in item)


def inner(mapping: ComposeBody, *names: str) -> ComposeBody:
    """A mapping inside others; nothing where one of them is none."""
    for name in names:
        value = mapping.get(name)
        mapping = value if is_mapping(value) else {}
    return mapping


def is_literal(key: str, value: Any, reasons: list[tuple[str, str]]) -> bool:
    """Is a value what the file says it is: nothing of it stayed on the host, and no variable stands in it."""
    content = str(value)
    if key in READ_BY_ITSELF:
        return True
    if MARK in content or any(_may_be_secret(line) for line in _lines(value)):
        text = "holds what may be a secret, which stays on the host: give it by a variable under secrets"
        reasons.append((key, text))
    elif "${" in content.replace("$$", ""):
        reasons.append((key, "has a variable of Compose's: write its value"))
    else:
        return True
    return False


def _may_be_secret(line: str) -> bool:
    return bool(PASSWORD.search(line)) or mask_secrets("", line) != line


def _lines(value: Any) -> list[str]:
    """What a value has as text, a list's words beside each other."""
    if is_mapping(value):
        return [line for item in value.values() for line in _lines(item)]
    if is_list(value) and not any(isinstance(item, dict | list) for item in value):
        return [" ".join(map(str, value))]
    return [line for item in value for line in _lines(item)] if is_list(value) else [str(value)]
