"""The machines of a host."""

from pathlib import Path
from typing import Annotated

import typer

from infra.cli import HostName, StackName, app, catalogue_of, valid_catalogue
from infra.completing import complete_hosts

group = typer.Typer(no_args_is_help=True, help="Replace or retire machines of a host, without an outage.")
app.add_typer(group, name="host")
Named = Annotated[str, typer.Argument(help="The host, as in infra:hosts.", autocompletion=complete_hosts)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@group.command(name="replace")
def replace(
    host: Named,
    stack: StackName,
    type: Annotated[
        str, typer.Option("--type", help="New instance type, such as t4g.xlarge; default: unchanged.")
    ] = "",
    back: Annotated[
        bool, typer.Option("--back", help="Return to the kept machine, and keep the serving one instead.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Cancel an unfinished replacement, and return to the earlier machine.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check whether it is possible; changes nothing.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep/--retire", help="Keep the old machine, or delete it once it gets no more requests.")
    ] = True,
    yes: Yes = False,
    report: Annotated[Path | None, typer.Option(help="File to write the report to (Markdown).")] = None,
) -> None:
    """Create a new machine for a host beside the serving one (the newest image of infra:amiParameter, or another
    instance type), copy the release and the data to it, and point the names to it once it has passed the gate. The
    old one stays until infra host retire. After an interruption or failure, the same command continues. With
    --check: only report what prevents it; exit code 2 when something does."""
    from infra.errors import InfraError
    from infra.move import replacing

    if (back or give_up) and (type or check or not keep or (back and give_up)):
        raise InfraError("--back and --give-up use an existing machine: combine them only with --yes and --report")
    requests = replacing.ReplaceRequest
    request = requests.BACK if back else requests.GIVE_UP if give_up else requests.FORWARD
    catalogue = valid_catalogue(stack)
    if check:
        replacing.check(catalogue, host, type)
    else:
        replacing.replace_machine(catalogue, host, replacing.ReplaceOptions(type, request, keep, yes, report))


@group.command(name="retire")
def retire(host: Named, stack: StackName, yes: Yes = False) -> None:
    """Delete the earlier machines that a host keeps, with their disks, once they get no more requests."""
    from infra.move import replacing

    replacing.retire(valid_catalogue(stack), host, yes)


@app.command()
def reboot(
    stack: StackName,
    host: Annotated[
        str | None,
        typer.Argument(help="The host; default: the only one, or with --rolling all.", autocompletion=complete_hosts),
    ] = None,
    rolling: Annotated[bool, typer.Option("--rolling", help="All hosts, one after the other.")] = False,
    yes: Yes = False,
) -> None:
    """Reboot hosts one at a time, and wait until all services of each are healthy before the next. Stops at the first
    host that does not become healthy, and names it. Refused while a release, an update or a move is running."""
    from infra import hosts, rebooting
    from infra.errors import InfraError

    if host is not None and rolling:
        raise InfraError("--rolling reboots all hosts: leave out the host")

    def say(line: str) -> None:
        typer.echo(line, err=True)

    catalogue = catalogue_of(stack)
    targets = hosts.targets(catalogue.stack)
    names = rebooting.choose(catalogue.stack, [*targets], host, rolling)
    own = {name: targets[name] for name in names}
    rebooting.demand_unlocked(catalogue.stack, say)
    statuses = rebooting.look(own)
    if not (yes or typer.confirm(rebooting.question(catalogue, names, statuses), err=True)):
        raise InfraError("nothing was rebooted")
    rebooting.reboot_each(catalogue, own, statuses, say)


@app.command(name="recover-quorum")
def recover_quorum(stack: StackName, host: HostName = None, yes: Yes = False) -> None:
    """Bring the hosts of a group that answer into one Docker Swarm again, after more than half of those that manage it
    were lost, or one of them left it. The host that manages it from then on is named before anything is done; what
    runs goes on running there. Those that do not answer join with pulumi up, once they are replaced."""
    from contextlib import ExitStack

    from infra import quorum, rebooting
    from infra.errors import InfraError

    def say(line: str) -> None:
        typer.echo(line, err=True)

    catalogue = valid_catalogue(stack)
    first = quorum.leader(catalogue, host)
    request = quorum.request_of(catalogue, first)
    if locked := rebooting.why_locked(catalogue.stack, say):
        raise InfraError(f"nothing was changed: {locked}")
    reunion = quorum.Reunion()
    with ExitStack() as connections:
        recovery = reunion.decide(request, connections, say)
        if not (yes or typer.confirm(recovery.question(), err=True)):
            raise InfraError("nothing was changed")
        reunion.bring_together(recovery, request, say)
        if line := quorum.restart_attached(catalogue, first, recovery, say):
            typer.echo(line)
        reunion.forget(recovery, request, say)
    typer.echo(recovery.line())
