"""Commands about secrets."""

import secrets
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.quoting import count
from catalogue.stack import API_TOKEN, DNS
from infra.cli import HostName, StackName, app, catalogue_of, valid_catalogue
from infra.completing import complete_secrets, complete_services, complete_settable
from infra.errors import InfraError

if TYPE_CHECKING:
    from catalogue.loading import Catalogue
    from infra.github_secrets import Place, SecretTarget
    from infra.secret import Secret

group = typer.Typer(no_args_is_help=True, help="Secrets of services: list, set, rotate and compare them.")
app.add_typer(group, name="secret")
PATH, PATH_HELP = "SERVICE.NAME", "Secret as SERVICE.NAME, SYSTEM.NAME for all services of a system, or shared.NAME."
Path_ = Annotated[str, typer.Argument(metavar=PATH, help=PATH_HELP, autocompletion=complete_settable)]
ExistingPath = Annotated[str, typer.Argument(metavar=PATH, help=PATH_HELP, autocompletion=complete_secrets)]
OPERATORS = f"{DNS}.{API_TOKEN}"
NEXT = "pulumi up deploys it and restarts the services that use it"


@group.command(name="list")
def list_secrets(
    stack: StackName,
    compare: Annotated[
        bool,
        typer.Option("--hosts", help="Ask the hosts too where they have another value; needs the stack's passphrase."),
    ] = False,
) -> None:
    """List each secret: whether it has a value, which services use it, and when and by whom that was changed last, by
    the commits of the stack's file. No value is shown, and without --hosts none is decrypted. Exit code 2 if a host has
    another value, and 1 if one cannot be compared."""
    from infra import secret

    catalogue = catalogue_of(stack)
    entries = secret.stack_secrets(catalogue)
    for line in secret.lines(entries, secret.last_changes(catalogue, entries, time.time())):
        typer.echo(line)
    counted = secret.counts(entries)
    typer.echo(
        f"{count(len(entries), 'secret')}, {counted['missing']} missing, {counted['used by nothing']} used by nothing"
    )
    if compare and (code := _compare(stack, entries, None)):
        raise typer.Exit(code)


@group.command(name="show-names")
def show_names(stack: StackName) -> None:
    """Print the name of each secret, a line each, for scripts: those with a value and those that a service needs."""
    from infra import secret

    for entry in secret.stack_secrets(catalogue_of(stack)):
        typer.echo(entry.path)


@group.command()
def diff(stack: StackName, host: HostName = None) -> None:
    """Compare secrets by name with what hosts have: other values, missing ones, unused ones, values changed by hand.
    Exit code 2 if anything differs. Digests under the stack's key are compared, and no value is shown."""
    from infra import secret

    if code := _compare(stack, secret.stack_secrets(catalogue_of(stack)), host):
        raise typer.Exit(code)


def _compare(stack: str, entries: list["Secret"], host: str | None) -> int:
    """Prints in what hosts differ from the stack. Returns the exit code."""
    from infra import secret_hosts
    from infra.preview.live import catalogue_of as catalogue_with_values

    lines, unknown = secret_hosts.compare(catalogue_with_values(stack, complete=False), entries, host)
    for line in [*lines, *unknown]:
        typer.echo(line)
    if not lines and not unknown:
        typer.echo(f"every host has the values of stack {stack}, and nothing is missing or unused")
    return 1 if unknown else 2 if lines else 0


@group.command(name="set")
def set_secret(
    path: Path_,
    stack: StackName,
    generate: Annotated[bool, typer.Option("--generate", help="Generate a random value, which is not shown.")] = False,
) -> None:
    """Set a secret, encrypted, in the stack's file. The value is prompted for or read from standard input, never
    taken from the command line."""
    from infra import secret

    catalogue = catalogue_of(stack)
    owner, name = secret.settable(catalogue, path)
    value = _ask_value(path, generate)
    secret.put(catalogue.stack, owner, name, value, secret.form_of(catalogue, owner, name))
    typer.echo(f"{path} is set in stack {stack}. {NEXT if path != OPERATORS else 'pulumi up uses it from now on'}")


def _ask_value(path: str, generate: bool) -> str:
    if generate:
        return secrets.token_urlsafe(32)
    if sys.stdin.isatty():
        return typer.prompt(f"Value of {path}", hide_input=True, confirmation_prompt=True, err=True)
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


@group.command()
def rotate(
    path: ExistingPath,
    stack: StackName,
    generate: Annotated[bool, typer.Option("--generate", help="Make a random value, which is not shown.")] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Apply the stack's current value: set earlier, changed at its source, or left by an interrupted "
            "rotation.",
        ),
    ] = False,
) -> None:
    """Set another value and restart the services that use it, and nothing else, one host after the other, with health
    gate and rollback; if a service is unhealthy with it, hosts and stack keep the previous value. The value is asked
    for, or read from standard input."""
    from infra import rotating, rotating_hosts, secret, secret_hosts
    from infra.move.command import may_remove_lock
    from infra.preview.live import catalogue_of as catalogue_with_values

    if again and generate:
        raise InfraError("--again applies the stack's current value: leave out --generate")
    catalogue = valid_catalogue(stack)
    rotation = rotating.plan_rotation(catalogue, path, again)
    say, former = partial(typer.echo, err=True), rotating.Former()
    now = rotating.ready(catalogue, rotation, again, may_remove_lock, say)
    if not again:
        owner, name = secret.settable(catalogue, path)
        value = _ask_value(path, generate)
        put = partial(secret.put, catalogue.stack, owner, name, value)
        former = rotating.set_value(catalogue.stack, path, put)
    try:
        with_values = catalogue_with_values(stack)
        digests = {share.host: secret_hosts.wanted_versions(with_values, share.host)[0] for share in rotation.shares}
    except BaseException:
        # Nothing was brought yet
        former.restore(say)
        raise
    if not now.pending(digests):
        former.restore(say)
        on = ", ".join(share.host for share in rotation.shares)
        typer.echo(f"{on} {'have' if len(rotation.shares) > 1 else 'has'} this value of {path} already: nothing to do")
        return
    for line in rotating_hosts.HostByHost(catalogue, now, digests, former, may_remove_lock, say).rotate():
        typer.echo(line)
    if not again:
        typer.echo(f"commit {catalogue.stack.file}: an update from another checkout would deploy the old value")


@group.command()
def unset(path: ExistingPath, stack: StackName) -> None:
    """Remove a secret's value from the stack's file."""
    from infra import secret

    secret.remove(catalogue_of(stack), path)
    typer.echo(f"{path} no longer has a value in stack {stack}")


@group.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A file of variables, such as .env; - reads standard input.")],
    service: Annotated[
        str, typer.Argument(help="The service whose secrets they are.", autocompletion=complete_services)
    ],
    stack: StackName,
) -> None:
    """Set the secrets of a service from a file of variables. Variables that the service does not list as secrets
    are skipped and named."""
    from catalogue.files import decode_text, read_text
    from infra import secret

    catalogue = catalogue_of(stack)
    piped = str(file) == "-"
    text = decode_text(sys.stdin.buffer.read(), "standard input") if piped else read_text(file, str(file))
    values, others = secret.of_environment(catalogue, service, text)
    if not values:
        raise InfraError(f"{file} has no secret of {service}: first list its names under secrets: in the catalogue")
    for name, value in values.items():
        # All of them first: one that is refused leaves nothing half done
        secret.check(service, name, value)
    for name, value in values.items():
        secret.put(catalogue.stack, service, name, value)
        typer.echo(f"{service}.{name} is set in stack {stack}")
    if others:
        typer.echo(f"left out, since {service} does not list them as secrets of its own: {', '.join(others)}")
    typer.echo(NEXT)


pushing = typer.Typer(no_args_is_help=True, help="Give secrets to others that need them.")
group.add_typer(pushing, name="push")


@pushing.command(name="github")
def push_github(
    stack: StackName,
    repository: Annotated[str, typer.Option("--repo", help="OWNER/NAME.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SERVICE.NAME…",
            help="Or OTHER=SERVICE.NAME, or PULUMI_CONFIG_PASSPHRASE; default: what the repository's workflows use.",
            autocompletion=complete_secrets,
        ),
    ] = None,
    checkout: Annotated[
        Path, typer.Option("--checkout", help="Without names: a checkout of the repository, whose workflows are read.")
    ] = Path(),
    environment: Annotated[str, typer.Option("--environment", help="An environment of it, such as deploy-prod.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Write them; else only say what would be written.")] = False,
) -> None:
    """Write secrets that a workflow needs as GitHub Actions secrets, with GitHub's program gh, which must be logged in.
    Without --write: show which, and which of them exist. Values go to gh by standard input. Without names: those that
    the workflows in .github/workflows/ use and the stack has, by their names; exit code 2 if neither the stack nor
    the repository has one that they use."""
    from infra import github_secrets

    catalogue = catalogue_of(stack)
    place = github_secrets.place_of(repository, environment)
    if names:
        targets, rest, is_lacking = github_secrets.secret_targets(catalogue, names), [], False
        there = github_secrets.names_there(place)
    else:
        there, (targets, rest, is_lacking) = _uses_of_workflows(catalogue, place, checkout)
    for line in [*github_secrets.lines(targets, there), *rest]:
        typer.echo(line)
    if not write:
        typer.echo(f"nothing was written; --write writes {count(len(targets), 'secret')} to {place}")
    for target in targets if write else ():
        github_secrets.write(catalogue.stack, place, target)
        typer.echo(f"{target.name} is written to {place}")
    if is_lacking:
        raise typer.Exit(2)


def _uses_of_workflows(
    catalogue: "Catalogue", place: "Place", checkout: Path
) -> tuple[Mapping[str, str], tuple[list["SecretTarget"], list[str], bool]]:
    """What the place has, and of what workflows use: what the stack has, lines about the rest, and whether some are
    nowhere."""
    from infra import github_secrets, secret, workflow_secrets

    uses = workflow_secrets.read_uses(checkout)
    there = github_secrets.names_there(place)
    whole = github_secrets.place_of(place.repository, "")
    # A job with an environment has the repository's too
    own = {**(github_secrets.names_there(whole) if place.environment else {}), **there}
    offer = workflow_secrets.offer(uses, secret.stack_secrets(catalogue), place, own, catalogue.stack.name)
    variables: list[str] = []
    if uses.variables:
        places = [whole, place] if place.environment else [place]
        names = {name for one in places for name in github_secrets.names_there(one, "variable")}
        variables = workflow_secrets.variable_lines(uses, place, names)
    return there, (offer.targets, [*offer.lines, *variables], offer.is_lacking or bool(variables))
