"""The `infra` command line: the application, and what its commands share."""

from dataclasses import dataclass
from typing import Annotated

import typer

from catalogue.loading import Catalogue, load
from catalogue.stack import read_stack
from infra.paths import config_file, project_root

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
StackName = Annotated[str, typer.Option("--stack", envvar="PULUMI_STACK", help="Stack, as in Pulumi.STACK.yaml.")]
HostName = Annotated[str | None, typer.Option("--host", help="Host, where the stack has several.")]


@dataclass
class Shown:
    """What is shown of an error."""

    traceback: bool = False


shown = Shown()


def catalogue_of(stack: str) -> Catalogue:
    """Raises CatalogueError."""
    root = project_root()
    return load(root, read_stack(root, stack, config_file(stack)))


@app.callback()
def infra(
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error is.")] = False,
) -> None:
    """Hosts, releases and moves of the stacks in this project.

    `infra COMMAND --help` has examples; `infra --install-completion` completes commands in your shell.
    """
    shown.traceback = debug
