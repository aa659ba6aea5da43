"""SSH opened for this machine's address, for a limited time."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli import StackName, app, duration, stack_of
from infra.errors import InfraError

if TYPE_CHECKING:
    from catalogue.stack import Stack
    from infra.temporary_ssh import Gate

HELP = "Open SSH for this machine's address, for a limited time, where infra:temporarySsh allows it."
group = typer.Typer(no_args_is_help=True, help=HELP)
app.add_typer(group, name="access")
Address = Annotated[
    str, typer.Option(help="Public IPv4 address to let in; default: what https://checkip.amazonaws.com/ answers.")
]
Duration = Annotated[str, typer.Option("--for", help="For how long, such as 45m; at most 6h.")]
IfAllowed = Annotated[
    bool, typer.Option("--if-allowed", help="Open nothing, without an error, where infra:temporarySsh is not set.")
]


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _gate(stack: "Stack") -> "Gate":
    from infra import temporary_ssh
    from infra.orphans.command import export_state

    return temporary_ssh.gate_of(stack, export_state(stack.name))


def _period(text: str) -> timedelta:
    from infra.temporary_ssh import LONGEST

    seconds = duration("--for", text)
    if not 0 < seconds <= LONGEST.total_seconds():
        raise InfraError(f"--for {text}: at most {LONGEST.total_seconds() / 3600:.0f}h, and more than nothing")
    return timedelta(seconds=seconds)


def _open(stack: "Stack", gate: "Gate", address: str, period: timedelta) -> None:

    for one in gate.close_expired():
        _say(f"closed SSH for {one}")
    expires = datetime.now(UTC).replace(microsecond=0) + period
    for one in gate.open(address, expires):
        _say(f"SSH is open for {one}")
    if others := sorted({*stack.hosts} - {*stack.ec2_hosts}):
        _say(f"not for {', '.join(others)}, whose own network decides that")


def _address(address: str) -> str:
    from infra import temporary_ssh

    return temporary_ssh.parse_address(address, f"--address {address}") if address else temporary_ssh.own_address()


@group.command(name="open")
def open_ssh(stack: StackName, period: Duration = "30m", address: Address = "", if_allowed: IfAllowed = False) -> None:
    """Let this machine's address reach SSH on the EC2 hosts for a limited time: one rule in each region's security
    group, with tags that say whose it is and when it ends. `infra access close` removes it; once its time is over, so
    do `infra up`, `infra deploy`, `infra move` and the nightly workflow drift.yml."""
    from infra import temporary_ssh

    model = stack_of(stack)
    if if_allowed and not model.temporarySsh:
        _say(f"stack {stack} does not set infra:temporarySsh: nothing was opened")
        return
    temporary_ssh.demand_permission(model)
    gate, length = _gate(model), _period(period)
    if temporary_ssh.is_administrators(model, own := _address(address)):
        _say(f"{own} is within infra:adminCidrs: nothing has to be opened")
        return
    _open(model, gate, own, length)


@group.command(name="close")
def close(
    stack: StackName,
    expired: Annotated[bool, typer.Option("--expired", help="Only what is over, of others too.")] = False,
    all_of_them: Annotated[bool, typer.Option("--all", help="Also what others have opened.")] = False,
) -> None:
    """Remove the rules that this job or account has opened SSH with, and those whose time is over."""
    from infra import temporary_ssh
    from infra.orphans.command import export_state

    if expired and all_of_them:
        raise InfraError("--expired and --all exclude each other")
    # Without a host, or permission, there may still be some of earlier
    gate = temporary_ssh.Gate(stack, temporary_ssh.groups(export_state(stack_of(stack).name)))
    closed = gate.close_expired() if expired else gate.close(gate.openings()) if all_of_them else gate.close_own()
    for one in closed:
        typer.echo(f"closed SSH for {one}")
    if not closed:
        typer.echo("nothing to close")


@group.command(name="list")
def show(stack: StackName) -> None:
    """Show for which addresses SSH is open for a time, for whom and until when."""
    from infra import temporary_ssh
    from infra.orphans.command import export_state

    gate, now = temporary_ssh.Gate(stack, temporary_ssh.groups(export_state(stack_of(stack).name))), datetime.now(UTC)
    there = [*gate.openings()]
    for one in there:
        typer.echo(f"{one}{' (over)' if one.is_over(now) else ''}")
    if not there:
        typer.echo("SSH is open for no address beside infra:adminCidrs")


@group.command(name="run", context_settings={"ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="The command with its arguments, after --.")],
    stack: StackName,
    period: Duration = "2h",
    address: Address = "",
) -> None:
    """Run a command with SSH opened for this machine's address, and close it however the command ends, by a signal too.
    Ends with the command's exit code."""
    from infra import temporary_ssh, within

    model = stack_of(stack)
    temporary_ssh.demand_permission(model)
    gate, length, own = _gate(model), _period(period), _address(address)
    if temporary_ssh.is_administrators(model, own):
        _say(f"{own} is within infra:adminCidrs: nothing has to be opened")
        raise typer.Exit(within.run(command, lambda: None, lambda: None))

    def end() -> None:
        try:
            for one in gate.close_own():
                _say(f"closed SSH for {one}")
        except InfraError as error:
            _say(f"infra: {error}; infra access close --stack {stack} closes it")

    raise typer.Exit(within.run(command, lambda: _open(model, gate, own, length), end))
