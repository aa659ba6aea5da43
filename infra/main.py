"""The `infra` command line."""

import typer

from catalogue.problems import CatalogueError
from infra.cli import (  # noqa: F401 (their commands come with them)
    app,
    backups,
    catalogue,
    changes,
    hosts,
    machines,
    moves,
    names,
    orphans,
    projects,
    secrets,
    services,
    shown,
)
from infra.cli.examples import epilog
from infra.errors import InfraError


def _teach() -> None:
    """Every command's help ends with examples."""
    for group, prefix in (
        (app, ""),
        (moves.adopting, "adopt "),
        (backups.backups, "backup "),
        (secrets.group, "secret "),
        (names.group, "dns "),
        (machines.group, "host "),
    ):
        for command in group.registered_commands:
            named = command.name or (command.callback.__name__ if command.callback else "")
            command.epilog = epilog(f"{prefix}{named}")


_teach()


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
            line = f"infra: internal error: {said}; infra --debug COMMAND shows where: please report it"
        typer.echo(line, err=True)
        raise SystemExit(1) from None
