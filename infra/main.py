"""The `infra` command line."""

import typer

from catalogue.problems import CatalogueError
from infra.cli import app, catalogue, changes, hosts, moves, shown  # noqa: F401 (their commands come with them)
from infra.errors import InfraError


def run() -> None:
    """The console script: a user's mistake is a line on stderr and exit code 1, never a traceback."""
    try:
        app()
    except Exception as error:
        if shown.traceback:
            raise
        if isinstance(error, CatalogueError):
            line = str(error)
        elif isinstance(error, InfraError):
            line = f"infra: {error}"
        else:
            said = f"{type(error).__name__}: {error}"
            line = f"infra: {said}; this is a fault of infra itself: infra --debug COMMAND shows where"
        typer.echo(line, err=True)
        raise SystemExit(1) from None
