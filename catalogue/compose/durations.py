"""Durations as the Compose Specification writes them."""

import re
from typing import Annotated

from pydantic import AfterValidator

_PARTS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:[0-9]{1,6}(?:us|ms|s|m|h)){1,5}")


def seconds(text: str) -> float:
    """Seconds of a duration such as 1m30s or 500ms. Raises ValueError for anything else."""
    if not _DURATION.fullmatch(text):
        raise ValueError("a duration such as 30s, 1m30s or 500ms")
    return sum(int(number) * _PARTS[unit] for number, unit in re.findall(r"([0-9]+)(us|ms|s|m|h)", text))


def _duration(text: str) -> str:
    seconds(text)
    return text


def _pause(text: str) -> str:
    if seconds(text) <= 0:
        raise ValueError("a duration above 0, such as 10s")
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Pause = Annotated[str, AfterValidator(_pause)]
