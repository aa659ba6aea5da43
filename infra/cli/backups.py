"""Commands about backups."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli import HostName, StackName, app, catalogue_of
from infra.completing import complete_backups
from infra.errors import InfraError, gather_errors

if TYPE_CHECKING:
    from catalogue.loading import Catalogue

backups = typer.Typer(no_args_is_help=True, help="Backups of services: list, create, verify, restore and drill them.")
app.add_typer(backups, name="backup")
ServiceName = Annotated[str, typer.Argument(help="A service that has a backup.", autocompletion=complete_backups)]
SomeService = Annotated[
    str | None,
    typer.Argument(help="A service that has a backup; default: all of them.", autocompletion=complete_backups),
]
Snapshot = Annotated[
    str | None, typer.Option(help="First characters of a backup's ID, as list shows it; default: the newest.")
]


def _say(line: str) -> None:
    typer.echo(f"  {line}", err=True)


@backups.command(name="list")
def list_backups(
    stack: StackName,
    service: SomeService = None,
    host: HostName = None,
    everything: Annotated[bool, typer.Option("--all", help="Show all backups, not only the newest ten.")] = False,
) -> None:
    """List the backups of each service, the newest first, and how the last attempt and the last drill ended."""
    from infra import backups as reports

    with gather_errors() as alone:
        for name, target in reports.hosts_of(catalogue_of(stack), service, host).items():
            with alone():
                answer = reports.ask(target, _say, "list")
                answer["services"] = [entry for entry in answer["services"] if service in (None, entry["service"])]
                for line in reports.listing(name, answer, 10**6 if everything else 10):
                    typer.echo(line)


def _services_with_backup(catalogue: "Catalogue", name: str) -> list[str]:
    from rendering.backups import services_with_backup

    return [entry.name for _, entry, _ in services_with_backup(catalogue, name.partition("@")[0])]


@backups.command()
def now(stack: StackName, service: SomeService = None, host: HostName = None) -> None:
    """Take a backup now, whatever its schedule says."""
    from infra import backups as reports

    catalogue = catalogue_of(stack)
    with gather_errors() as alone:
        for name, target in reports.hosts_of(catalogue, service, host).items():
            for one in [service] if service else _services_with_backup(catalogue, name):
                with alone():
                    for line in reports.backup_lines(name, reports.ask(target, _say, "now", service=one)):
                        typer.echo(line)


@backups.command()
def verify(
    stack: StackName,
    host: HostName = None,
    everything: Annotated[bool, typer.Option("--all", help="Read all data, not only a tenth.")] = False,
) -> None:
    """Check that each host's repository of backups is whole, and read a tenth of its data, a different one each
    day."""
    from infra import backups as reports

    with gather_errors() as alone:
        for name, target in reports.hosts_of(catalogue_of(stack), None, host).items():
            with alone():
                typer.echo(f"{name}: {reports.ask(target, _say, 'verify', everything=everything)['line']}")


@backups.command()
def restore(
    service: ServiceName,
    stack: StackName,
    host: HostName = None,
    snapshot: Snapshot = None,
    to: Annotated[
        str | None, typer.Option(help="Restore into this new directory of the host; the service is not touched.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Replace a service's data by that of a backup. The service and its dependents are stopped meanwhile; the
    replaced data is kept beside it, and put back if anything fails. With --to: only put the files, or the dump,
    into a directory."""
    from infra import backups as reports

    target = reports.one_host(catalogue_of(stack), service, host)
    if to is not None and not to.startswith("/"):
        raise InfraError(f"--to {to!r}: an absolute directory of the host, such as /root/restored")
    if to is None and not yes:
        typer.confirm(f"Stop {service} on {target.host}, and replace its data with a backup?", abort=True)
    answer = reports.ask(target, _say, "restore", service=service, snapshot=snapshot, to=to)
    for line in reports.restore_lines(target.host, answer):
        typer.echo(line)


@backups.command()
def drill(service: ServiceName, stack: StackName, host: HostName = None, snapshot: Snapshot = None) -> None:
    """Try a backup: restore it into scratch volumes, start the service on it unless it depends on others, wait until it
    is healthy, remove all of it."""
    from infra import backups as reports

    target = reports.one_host(catalogue_of(stack), service, host)
    answer = reports.ask(target, _say, "drill", service=service, snapshot=snapshot)
    typer.echo(reports.drill_line(target.host, answer))
