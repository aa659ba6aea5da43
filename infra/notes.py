"""What a checkout remembers of its own work, below `.infra/` of the project: never through a link, nor from a pipe."""

import json
from pathlib import Path
from typing import Any

from catalogue.files import read_json
from catalogue.problems import CatalogueError
from infra.errors import InfraError
from infra.paths import project_root
from infra.writing import below, put_below, remove_below


def keep(path: Path, value: Any) -> None:
    """`path` is below the project. Raises InfraError where it cannot be written."""
    put_below(project_root(), path, json.dumps(value))


def read(path: Path) -> Any:
    """None where there is none, or none that can be read."""
    try:
        place = below(project_root(), path)
        return read_json(place, str(path)) if place.exists() else None
    except (InfraError, CatalogueError, OSError):
        return None


def forget(path: Path) -> None:
    """Raises InfraError where it cannot be removed."""
    remove_below(project_root(), path)
