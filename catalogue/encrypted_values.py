"""Values that are encrypted in a stack's file, and what stands in their place while they are."""

import re
from typing import Any

from catalogue.problems import Problem
from catalogue.shapes import is_mapping

ENCRYPTED = "[encrypted]"
# What a preview has in an encrypted value's place (infra/preview/marks.py)
SEALED = re.compile(r"\[encrypted\]|\[secret [0-9a-f]{12}\]")


def in_plain_text(file: str, keys: list[str]) -> list[Problem]:
    rule = "set it again with pulumi config set --secret, and rotate it: the old value is exposed"
    return [Problem(file, key, "is in plain text", rule) for key in keys]


def is_sealed(value: str) -> bool:
    """Does something stand in a secret's place, since it was not decrypted."""
    return bool(SEALED.fullmatch(value))


def is_empty(value: Any, nothing: tuple[Any, ...] = (None, "")) -> bool:
    """Does a value hold nothing but `nothing`; Pulumi leaves `{service: {}}` where the last secret was removed."""
    if is_mapping(value):
        return all(is_empty(item, nothing) for item in value.values())
    return value in nothing


def mark_encrypted(value: Any) -> Any:
    """An encrypted value as a mark that it is there."""
    if is_mapping(value):
        return ENCRYPTED if set(value) == {"secure"} else {key: mark_encrypted(item) for key, item in value.items()}
    return value
