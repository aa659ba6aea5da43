"""One line of a report, and the text of values in it. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from catalogue.shapes import is_list
from infra.foreign import one_line
from infra.preview.marks import SECRET

LONG = 80  # characters of a value that are shown


@dataclass(frozen=True)
class Finding:
    """`where` in AWS, what was `found` there, and the `remedy`: a command, or a key of the configuration."""

    where: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return one_line(f"{self.where}: {self.found}; {self.remedy}")


def apart(now: Any, before: Any) -> tuple[str, str]:
    """The texts of two values that differ; of long ones (a policy's JSON) from where they do."""
    one, other = (json.dumps(json.loads(v), sort_keys=True) if _is_json(v) else v for v in (now, before))
    if not (isinstance(one, str) and isinstance(other, str)) or max(len(one), len(other)) <= LONG:
        return text(one), text(other)
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = max(0, same - LONG // 4)
    one_text, other_text = (text(f"{'…' if begin else ''}{value[begin:]}") for value in (one, other))
    return one_text, other_text


def _is_json(value: Any) -> bool:
    if not isinstance(value, str) or not value.startswith("{"):
        return False
    try:
        return isinstance(json.loads(value), dict)
    except (ValueError, RecursionError):
        return False


def text(value: Any) -> str:
    """A value of AWS for a line; never a secret's."""
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, str):
        return value if len(value) <= LONG else f"{value[:LONG]}…"
    if is_list(value) and all(isinstance(item, (str, int, float)) for item in value):
        return text(", ".join(str(item) for item in value))
    whole = json.dumps(value, sort_keys=True)
    return "[secret]" if SECRET in whole else text(whole.strip('"'))
