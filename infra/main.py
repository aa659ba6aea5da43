"""The `infra` command line."""

import codecs
import locale
import os
import sys

import typer

from agent import times
from catalogue.problems import CatalogueError
from infra.cli import (
    access,
    app,
    backups,
    catalogue,
    changes,
    error_output,
    hosts,
    machines,
    moves,
    names,
    orphans,
    projects,
    secrets,
    services,
)
from infra.cli.examples import epilog, first_sentence
from infra.errors import InfraError
from infra.foreign import visible

# Their commands come with them
MODULES = (access, backups, catalogue, changes, hosts, machines, moves, names, orphans, projects, secrets, services)


def _teach() -> None:
    """Every command's help ends with examples; in a list of commands its first sentence stands alone."""
    for group, prefix in (
        (app, ""),
        (moves.adopting, "adopt "),
        (backups.backups, "backup "),
        (secrets.group, "secret "),
        (secrets.pushing, "secret push "),
        (names.group, "dns "),
        (machines.group, "host "),
        (access.group, "access "),
    ):
        for command in group.registered_commands:
            command_name = command.name or (command.callback.__name__ if command.callback else "")
            command.epilog = epilog(f"{prefix}{command_name}")
            command.short_help = first_sentence((command.callback and command.callback.__doc__) or "")


_teach()


def _speak_utf8() -> None:
    """Files, hosts and Pulumi speak UTF-8, whatever a terminal's locale is: where Python does not, it starts again."""
    if codecs.lookup(locale.getpreferredencoding(False)).name != "utf-8":
        # For what it starts as well
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def run() -> None:
    """The console script: a user's mistake is a line on stderr and exit code 1, never a traceback."""
    _speak_utf8()
    try:
        app()
    except Exception as error:
        if error_output.traceback:
            raise
        if isinstance(error, CatalogueError):
            line = str(error)
        elif isinstance(error, InfraError):
            line = f"infra: {times.in_text(str(error))}"
        else:
            description = f"{type(error).__name__}: {error}"
            line = (
                f"infra: internal error: {description}; infra --debug COMMAND shows where it happened: please report it"
            )
        # Names of fields, files and stacks are others' text: they order no terminal about
        typer.echo(visible(line), err=True)
        raise SystemExit(1) from None
