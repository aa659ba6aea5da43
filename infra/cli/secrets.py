"""Commands about secrets."""

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from catalogue.stack import API_TOKEN, DNS
from infra.cli import StackName, app, catalogue_of
from infra.errors import InfraError

group = typer.Typer(no_args_is_help=True, help="Secrets of services: list, set, unset and import them.")
app.add_typer(group, name="secret")
Path_ = Annotated[
    str,
    typer.Argument(metavar="SERVICE.NAME", help="Secret as SERVICE.NAME, or SYSTEM.NAME for all services of a system."),
]
OPERATORS = f"{DNS}.{API_TOKEN}"
NEXT = "pulumi up deploys it and restarts the services that use it"


@group.command(name="list")
def list_secrets(stack: StackName) -> None:
    """List each secret: whether it has a value, and which services use it. No value is shown or decrypted."""
    from infra import secret

    entries = secret.stack_secrets(catalogue_of(stack))
    for line in secret.lines(entries):
        typer.echo(line)
    counted = secret.counts(entries)
    typer.echo(f"{len(entries)} secret(s), {counted['missing']} missing, {counted['used by nothing']} used by nothing")


@group.command(name="set")
def set_secret(
    path: Path_,
    stack: StackName,
    generate: Annotated[bool, typer.Option("--generate", help="Generate a random value, which is not shown.")] = False,
) -> None:
    """Set a secret, encrypted, in the stack's file. The value is asked for, or read from standard input, and never a
    word of the command line."""
    from infra import secret

    catalogue = catalogue_of(stack)
    owner, name = secret.settable(catalogue, path)
    if generate:
        value = secrets.token_urlsafe(32)
    elif sys.stdin.isatty():
        value = typer.prompt(f"Value of {path}", hide_input=True, confirmation_prompt=True, err=True)
    else:
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    secret.put(catalogue.stack, owner, name, value, secret.is_password(catalogue, owner, name))
    typer.echo(f"{path} is set in stack {stack}. {NEXT if path != OPERATORS else 'pulumi up uses it from now on'}")


@group.command()
def unset(path: Path_, stack: StackName) -> None:
    """Remove a secret's value from the stack's file."""
    from infra import secret

    secret.remove(catalogue_of(stack), path)
    typer.echo(f"{path} no longer has a value in stack {stack}")


@group.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A file of variables, such as .env.")],
    service: Annotated[str, typer.Argument(help="The service whose secrets they are.")],
    stack: StackName,
) -> None:
    """Set the secrets of a service from a file of variables. What the service does not name as a secret is left out,
    and named."""
    from catalogue.files import read_text
    from infra import secret

    catalogue = catalogue_of(stack)
    taken, others = secret.of_environment(catalogue, service, read_text(file, str(file)))
    if not taken:
        raise InfraError(f"{file} has no secret of {service}: first list its names under secrets: in the catalogue")
    for name, value in taken.items():
        # All of them first: one that is refused leaves nothing half done
        secret.check(service, name, value)
    for name, value in taken.items():
        secret.put(catalogue.stack, service, name, value)
        typer.echo(f"{service}.{name} is set in stack {stack}")
    if others:
        typer.echo(f"left out, since {service} does not list them as secrets: {', '.join(others)}")
    typer.echo(NEXT)
