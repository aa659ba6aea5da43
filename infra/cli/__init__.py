"""The `infra` command line: the application, and what its commands share."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer

from catalogue.stack import Stack, read_stack
from infra.completing import complete_hosts, complete_stacks
from infra.errors import InfraError
from infra.paths import config_file, project_root

if TYPE_CHECKING:
    from catalogue.loading import Catalogue

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
StackName = Annotated[
    str,
    typer.Option(
        "--stack",
        envvar="PULUMI_STACK",
        help="Name of the stack, as in Pulumi.STACK.yaml.",
        autocompletion=complete_stacks,
    ),
]
ONE_HOST = "Name of the host. Default: all hosts, or the only one that fits."
HostName = Annotated[str | None, typer.Option("--host", help=ONE_HOST, autocompletion=complete_hosts)]


@dataclass
class ErrorOutput:
    """What is shown of an error."""

    traceback: bool = False


error_output = ErrorOutput()


def stack_of(name: str) -> Stack:
    """The configuration alone: all that asking hosts needs, whatever the catalogue says. Raises CatalogueError."""
    return read_stack(project_root(), name, config_file(name))


def catalogue_of(stack: str) -> "Catalogue":
    """Raises CatalogueError."""
    # Its models take longer to load than a look at a host
    from catalogue.loading import load

    return load(project_root(), stack_of(stack))


def valid_catalogue(stack: str, with_values: bool = True) -> "Catalogue":
    """One that no rule speaks against; `with_values` also its secrets are set. Raises CatalogueError."""
    from catalogue.checks import ensure_valid

    return ensure_valid(catalogue_of(stack), with_values=with_values)


def duration(option: str, text: str) -> float:
    """Seconds of an option such as 45s, 30m or 2h. Raises InfraError."""
    from catalogue.compose.durations import seconds

    try:
        return seconds(text)
    except ValueError:
        raise InfraError(f"{option} {text}: a time such as 45s, 30m or 2h; a day is 24h") from None


def show_version(is_asked: bool) -> None:
    """Prints the version and ends, where it was asked for."""
    if is_asked:
        typer.echo(f"infra {version('watchme-infra')}")
        raise typer.Exit


@app.callback()
def infra(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback for errors.")] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Hosts, releases and moves of the stacks in this project.

    `infra COMMAND --help` has examples; `infra --install-completion` completes commands and the
    project's names in your shell.
    """
    error_output.traceback = debug
