"""One line of a report, and the text of values in it. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from infra.foreign import one_line

SECRET = "4dabf18193072939515e22adb298388d"  # Pulumi's signature of special values
LONG = 80  # characters of a value that are shown


@dataclass(frozen=True)
class Finding:
    """`where` in AWS, what was `found` there, and the `remedy`: a command, or a key of the configuration."""

    where: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return one_line(f"{self.where}: {self.found}; {self.remedy}")


def text(value: Any) -> str:
    """A value of AWS for a line; never a secret's."""
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, str):
        return value if len(value) <= LONG else f"{value[:LONG]}…"
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return text(", ".join(str(item) for item in value))
    whole = json.dumps(value, sort_keys=True)
    return "[secret]" if SECRET in whole else text(whole.strip('"'))
