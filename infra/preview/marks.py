"""What stands in a secret's place in a preview. Runs beside snapshot.py, before or without packages of the project."""

import hashlib
import importlib.util
import json
import os
import re
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeGuard

# The list of what looks like a secret is this checkout's own, whatever the one that is looked at knows
MASKING = Path(__file__).resolve().parents[2] / "catalogue/masking"
# Where no key is given, marks can be compared within this process alone
PROCESS_KEY = os.urandom(32)
# Of a configuration, by its keys, before anything is known of them
Values = dict[str, Any]
# An attempt of a region move is named by its time, which says nothing about the change
ATTEMPT = re.compile(r"\d{8}T\d{6}Z")


def stable(text: str) -> str:
    """The text with one mark in the place of each attempt's time."""
    return ATTEMPT.sub("ATTEMPT", text)


@cache
def _masking() -> Any:
    name, file = "masking_of_preview", MASKING / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(MASKING)])
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _masker(key: bytes) -> Any:
    return _masking().Masker(key)


# Of many hosts most files are the same ones
@lru_cache(maxsize=256)
def mask_text(text: str, path: str = "", key: bytes = PROCESS_KEY) -> str:
    """A file's text without what looks like a secret. The mark in its place, `[secret 0123456789ab]`, changes with the
    value, and cannot be compared with guessed values without the key; existing marks stay."""
    masking = _masking()
    mark = masking.MARK
    marked = re.sub(masking.OF_PREVIEW, lambda match: f"{mark}_{match[1].encode().hex()}", text)
    masked = _masker(key).mask_secrets(path, marked)

    def show_mark(match: re.Match[str]) -> str:
        return f"[{bytes.fromhex(match[2]).decode(errors='replace')}]" if match[1] else f"[secret {match[2]}]"

    masked = re.sub(rf"{mark}(_?)((?:[0-9a-f]{{2}})+)", show_mark, masked)
    # Lines keep their ends
    return masked if text.endswith("\n") or not masked.endswith("\n") else masked[:-1]


def key_of(file: Path) -> bytes:
    """The key of a stack's marks, out of its file: what is encrypted there makes it one that others do not have."""
    try:
        return hashlib.sha256(b"marks of a preview\0" + file.read_bytes()).digest()
    except OSError:
        return PROCESS_KEY


def mark(text: str) -> str:
    """Stands for what is encrypted, by the encrypted text."""
    return f"[secret {hashlib.sha256(text.encode()).hexdigest()[:12]}]"


def mark_sources(values: Values) -> None:
    """Secrets that come from elsewhere are not asked for: a mark of where each comes from stands in its place."""
    sources: dict[str, dict[str, object]] = values.get("infra:secretsFrom") or {}
    for group, names in sources.items():
        own = values.setdefault("infra:secrets", {}).setdefault(group, {})
        for name, source in names.items():
            own.setdefault(name, mark(json.dumps(source, sort_keys=True)))


def mark_unset(values: Values, unset: list[str]) -> Values:
    """The configuration with marks for secrets (GROUP.NAME) that have no value yet, without which no program runs."""
    groups: dict[str, dict[str, str]] = values.get("infra:secrets") or {}
    secrets = {group: {**by_name} for group, by_name in groups.items()}
    for group, _, name in (path.rpartition(".") for path in unset):
        secrets.setdefault(group, {})[name] = mark("not set")
    return values | {"infra:secrets": secrets} if unset else values


# Pulumi's signature of special values, and among them of a secret
SECRET, SECRET_VALUE = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


def mask_encrypted(value: Any) -> Any:
    """Configuration without what is encrypted in it."""
    if _is_mapping(value):
        if set(value) == {"secure"}:
            return mark(str(value["secure"]))
        return {key: mask_encrypted(item) for key, item in value.items()}
    return [mask_encrypted(item) for item in value] if _is_list(value) else value


def mask_inputs(value: Any) -> Any:
    """Inputs without what Pulumi holds for secret."""
    if _is_mapping(value):
        if value.get(SECRET) == SECRET_VALUE:
            return mark(json.dumps(value.get("value"), sort_keys=True, default=str))
        return {key: mask_inputs(item) for key, item in value.items()}
    return [mask_inputs(item) for item in value] if _is_list(value) else value


# As catalogue/shapes.py, which a checkout that is looked at may not have
def _is_mapping(value: object) -> TypeGuard[Values]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
