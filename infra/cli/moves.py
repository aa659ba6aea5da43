"""Moves of a stack, and what is taken along."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.cli import StackName, app, catalogue_of, valid_catalogue
from infra.completing import complete_hosts
from infra.foreign import visible


@app.command(name="scan-regions")
def scan_regions(
    paths: Annotated[list[Path], typer.Argument(help="Repositories, folders or files to search.")],
    old: Annotated[str, typer.Option("--from", help="Region to search for.")],
    new: Annotated[str, typer.Option("--to", help="Region to replace it with.")],
    change: Annotated[
        bool, typer.Option("--write", help="Change the files instead of only showing the changes.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--vendored", help="Search installed packages and built files too.")
    ] = False,
) -> None:
    """Find hard-coded regions in other repositories, name the kind of each, and show or make the change; exit code
    2 while any is left."""
    from infra import region_scan

    result = region_scan.scan_regions(paths, old, new, change, everything)
    for line in result.lines():
        typer.echo(line)
    if result.remaining:
        raise typer.Exit(2)


@app.command()
def move(
    region: Annotated[str, typer.Argument(help="The region to move to, such as ap-northeast-1.")],
    stack: StackName,
    check: Annotated[bool, typer.Option("--check", help="Only check whether it is possible; changes nothing.")] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep/--retire", help="Keep the old region as a standby, or delete it once it gets no more requests."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    report: Annotated[Path | None, typer.Option(help="File to write the report to (Markdown).")] = None,
) -> None:
    """Move a stack to another region: check for obstacles, show every step, carry them out, and write a report.
    After an interruption or failure, the same command continues. With --check: only report what prevents the move;
    exit code 2 when something does."""
    from infra.move import command

    catalogue = valid_catalogue(stack)
    if check:
        command.check(catalogue, region)
    else:
        command.move(catalogue, region, keep, yes, report)


adopting = typer.Typer(no_args_is_help=True, help="Adopt existing AWS resources and hosts, unchanged.")
app.add_typer(adopting, name="adopt")


@adopting.command(name="aws")
def adopt_aws(
    stack: StackName,
    region: Annotated[str, typer.Option(help="Region of the existing resources.")],
    host: Annotated[str | None, typer.Option(help="Matching host of the stack.", autocompletion=complete_hosts)] = None,
    instance: Annotated[str | None, typer.Option(help="Instance ID, if no public name points to the instance.")] = None,
    user: Annotated[str, typer.Option(help="Its owner's account on the machine.")] = "ubuntu",
    identity: Annotated[
        Path | None, typer.Option(help="Its owner's private key: used to add the stack's key and to pin the host key.")
    ] = None,
    host_key: Annotated[str | None, typer.Option(help="Expected fingerprint of the host key (SHA256:…).")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Find an instance, its address, security group, repositories and record; show what each becomes in the stack
    and what differs; and adopt them, so that no update replaces or deletes the host. Of a stack whose hosts are all
    `kind: ssh`: its repositories and records, so that no update stops at them."""
    from infra.adopt import command

    candidate, owner = command.Candidate(region, host, instance), command.Owner(user, identity, host_key)
    command.adopt(valid_catalogue(stack), candidate, owner, yes)


@adopting.command(name="host")
def adopt_host(
    address: Annotated[str, typer.Argument(help="The host's name or address.")],
    stack: StackName,
    user: Annotated[
        str, typer.Option(help="Its owner's account on the machine, with sudo without a password.")
    ] = "ubuntu",
    identity: Annotated[Path, typer.Option(help="Its owner's private key.")] = Path("~/.ssh/id_ed25519"),
    port: Annotated[int, typer.Option(help="Port of its SSH server.")] = 22,
    host_key: Annotated[str | None, typer.Option(help="Expected fingerprint of the host key (SHA256:…).")] = None,
    host: Annotated[
        str | None, typer.Option(help="Matching host of the stack, if any.", autocompletion=complete_hosts)
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="Name of the system; default: that of the file or the host.")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="New file to write, such as files/systems/NAME.yaml.")] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show the full diff of the host's files.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the host's key without asking.")] = False,
) -> None:
    """Read a hand-made host's units, compose files and Nginx sites without changing anything; write them as a system of
    the catalogue; and list what does not fit, and what a release would change there."""
    from infra.adopt import keys
    from infra.adopt.host import command

    catalogue = catalogue_of(stack)
    options = command.parse_options(catalogue, host, system, write, diff)
    key = keys.confirmed_host_key(address, port, host_key, yes)
    machine = keys.Machine(address, port, user, identity.expanduser(), key)
    command.adopt(catalogue, machine, options)


@adopting.command(name="workflow")
def adopt_workflow(
    file: Annotated[Path, typer.Argument(help="A workflow of the product's repository, such as deploy.yml.")],
    stack: StackName,
    infra: Annotated[
        str,
        typer.Option("--infra", help="OWNER/NAME of this project; default: the repository of the git remote origin."),
    ] = "",
    service: Annotated[str, typer.Option("--service", help="The service, where several have the image.")] = "",
    image: Annotated[str, typer.Option("--image", help="The image's repository, where the file does not say it.")] = "",
    role: Annotated[
        str, typer.Option("--role", help="ARN that may push; default: the repository variable AWS_ROLE_PUSH.")
    ] = "",
    token: Annotated[str, typer.Option("--token", help="The secret with the token for deployments.")] = "DEPLOY",
) -> None:
    """Read a workflow that builds, pushes and deploys over SSH, and print a diff that has one call of deploy.yml in the
    place of these steps; every other line stays. What it does not carry over is listed on standard error. Nothing is
    written: `git apply` takes the diff, in the product's repository."""
    from infra.adopt.workflow import command

    options = command.AdoptOptions(infra, service, image, role or command.ROLE, token)
    diff, remarks = command.adopt(catalogue_of(stack), file, options)
    # A program gets it byte for byte
    typer.echo(visible(diff) if sys.stdout.isatty() else diff, nl=False)
    for line in remarks:
        typer.echo(f"- {line}", err=True)
