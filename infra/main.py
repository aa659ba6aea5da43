"""The `infra` command line."""

from pathlib import Path
from typing import Annotated

import typer

from catalogue.checks import check as problems_of
from catalogue.checks import checked
from catalogue.loading import Catalogue, load
from catalogue.problems import CatalogueError, errors
from catalogue.stack import read_stack
from infra.paths import config_file, project_root

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
StackName = Annotated[str, typer.Option("--stack", help="Stack, as in Pulumi.STACK.yaml.")]


def catalogue_of(stack: str) -> Catalogue:
    root = project_root()
    return load(root, read_stack(root, stack, config_file(stack)))


@app.callback()
def infra() -> None:
    """Hosts, releases and moves of the stacks in this project."""


@app.command()
def check(stack: StackName) -> None:
    """Check a stack's catalogue and configuration; needs neither Pulumi nor AWS."""
    catalogue = catalogue_of(stack)
    found = problems_of(catalogue)
    for problem in found:
        typer.echo(str(problem), err=True)
    if errors(found):
        raise typer.Exit(1)
    services = sum(len(system.active) for system in catalogue.running.values())
    typer.echo(f"stack {stack}: {services} services on {len(catalogue.stack.hosts)} host(s), {len(found)} warning(s)")


@app.command()
def render(stack: StackName, out: Annotated[Path, typer.Option(help="Directory to write DIR/HOST/… to.")]) -> None:
    """Write the exact files of every host, byte for byte what a release carries."""
    from rendering.host import render as files_of

    catalogue = checked(catalogue_of(stack))
    for host in catalogue.stack.hosts:
        for file in files_of(catalogue, host).files:
            target = out / host / file.path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
            target.chmod(file.mode)
        typer.echo(f"{host}: {out / host}")


@app.command()
def docs() -> None:
    """Make the tables of the system pages (docs/systems/) anew from the catalogue."""
    from infra.docs import write_pages

    for path in write_pages(project_root()):
        typer.echo(f"written: {path}")


@app.command()
def init(stack: StackName) -> None:
    """Make a stack's SSH and host keys and keep them as encrypted configuration. Keys that are there stay."""
    from infra.init import initialise

    catalogue = catalogue_of(stack)
    for line in initialise(catalogue.stack):
        typer.echo(line)


def run() -> None:
    """The console script: a user's mistake is a line on stderr and exit code 1, never a traceback."""
    from infra.errors import InfraError

    try:
        app()
    except CatalogueError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None
    except InfraError as error:
        typer.echo(f"infra: {error}", err=True)
        raise SystemExit(1) from None
