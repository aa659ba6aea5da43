"""Commands about public names."""

import json
import sys
from typing import Annotated

import typer

from agent.quoting import count
from catalogue.dns import NAMED
from infra.cli import StackName, app, catalogue_of, duration, stack_of
from infra.errors import InfraError

group = typer.Typer(no_args_is_help=True, help="Public names: expected and actual records.")
app.add_typer(group, name="dns")


@group.command()
def show(
    stack: StackName,
    resolver: Annotated[
        list[str] | None,
        typer.Option(
            help="Another resolver to query besides the zone's name servers, ADDRESS or ADDRESS:PORT; repeatable."
        ),
    ] = None,
    wait: Annotated[str, typer.Option(help="How long to wait until all records match, such as 10m.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each record that the stack's names need, and where each actually points: by the zone's own servers and
    by public resolvers (1.1.1.1, 8.8.8.8, 9.9.9.9). Exit code 1 when one is wrong. Nothing is changed. Where no CAA
    record says who issues certificates of a site's name, one for the CA in use is proposed."""
    from infra import pointing

    catalogue = catalogue_of(stack)
    stack_model, resolvers = catalogue.stack, resolver or list(pointing.PUBLIC_RESOLVERS)
    records = pointing.expected_records(catalogue)
    pointing.wait(
        stack_model,
        records,
        resolvers,
        duration("--wait", wait) if wait else 0,
        lambda line: typer.echo(line, err=True),
    )
    if as_json:
        typer.echo(pointing.as_json(records))
    else:
        own = [*pointing.lines(stack_model, records), pointing.closing(stack_model, records)]
        for line in [*own, *pointing.proposals(catalogue)]:
            typer.echo(line)
    raise typer.Exit(0 if all(record.is_right for record in records) else 1)


@group.command()
def restore(stack: StackName) -> None:
    """Restore the records that the last update wrote at Cloudflare and that were changed or deleted since."""
    from infra import zone_records
    from infra.orphans.command import export_state

    stack_model = stack_of(stack)
    if moved_from := zone_records.region_to_leave(stack_model):
        raise InfraError(
            f"stack {stack} is being moved from {moved_from}: pulumi up continues the move and writes the records"
        )
    count = 0
    for line in zone_records.restore(
        zone_records.zone_of(stack_model), zone_records.records_in_state(export_state(stack))
    ):
        typer.echo(line)
        count += 1
    if not count:
        typer.echo("every record is unchanged since the last update")


@group.command()
def leave(
    stack: StackName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget the records at an earlier provider of the zone (infra:dns): they stay there unchanged, but no longer
    belong to the stack."""
    from infra import zone_records
    from infra.orphans.command import export_state
    from infra.pulumi import pulumi

    state = export_state(stack)
    urns = zone_records.records_elsewhere(stack_of(stack), state)
    if not urns:
        typer.echo("the stack has no records outside its present zone (infra:dns)")
        return
    for urn in urns:
        typer.echo(urn.rsplit("::", 1)[-1].removeprefix(NAMED))
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Forget these {len(urns)} records?")):
        raise InfraError("nothing was touched; confirm with --yes")
    pulumi("stack", "import", "--stack", stack, value=json.dumps(zone_records.remove_resources(state, urns)))
    typer.echo(f"stack {stack} no longer owns {count(len(urns), 'record')}; nothing was deleted")


@group.command()
def adopt(
    names: Annotated[list[str], typer.Argument(help="Names of existing records.")],
    stack: StackName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let the stack change records at Cloudflare that it did not write. Nothing else of them changes until the next
    update."""
    from infra import pointing

    zone, entries = pointing.adoptable(catalogue_of(stack), names)
    for entry, _ in entries:
        typer.echo(pointing.record_line(entry))
    if not yes and not (
        sys.stdin.isatty() and typer.confirm(f"Allow stack {stack} to change and delete these records?")
    ):
        raise InfraError("nothing was touched; confirm with --yes")
    for entry, owner in entries:
        zone.take_over(entry, owner)
    typer.echo(
        f"stack {stack} owns {count(len(entries), 'record')} more now: pulumi up writes new values, infra dns restore "
        "writes earlier ones again"
    )
