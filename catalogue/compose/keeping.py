"""Which data an image keeps, and whether something outlives its container there."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

import yaml


@cache
def _databases() -> dict[str, list[str]]:
    return yaml.safe_load((Path(__file__).parent / "databases.yaml").read_text(encoding="utf-8"))


def data_paths(repository: str) -> list[str]:
    """Where an image of a known database keeps its data; nothing for any other image."""
    return _databases().get(key_of(repository), [])


def key_of(repository: str) -> str:
    """By which part of its name an image is known: the last, or the last two where the last says nothing."""
    parts = repository.split("/")
    two = "/".join(parts[-2:])
    return two if two in _databases() else parts[-1]


def covers(path: str, places: Iterable[str]) -> bool:
    """Does one of the mounted places hold a path, or what lies above it."""
    target = PurePosixPath(path)
    return any(target.is_relative_to(PurePosixPath(place)) for place in places)
