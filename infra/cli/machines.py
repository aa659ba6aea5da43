"""The machines of a host."""

from pathlib import Path
from typing import Annotated

import typer

from infra.cli import StackName, app, sound_catalogue_of

group = typer.Typer(no_args_is_help=True, help="Another machine for a host, without an outage.")
app.add_typer(group, name="host")
Named = Annotated[str, typer.Argument(help="The host, as in infra:hosts.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before it begins.")]


@group.command(name="replace")
def replace(
    host: Named,
    stack: StackName,
    type: Annotated[str, typer.Option("--type", help="Its instance type, such as t4g.xlarge; else as it is.")] = "",
    back: Annotated[
        bool, typer.Option("--back", help="To the machine that was kept; the one that serves is kept in its place.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="End a replacement that did not come to its end, as it was before.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only look whether it can be done; changes nothing.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep/--retire", help="Keep the old machine, or delete it once no request comes.")
    ] = True,
    yes: Yes = False,
    report: Annotated[Path | None, typer.Option(help="Where to write the report (Markdown).")] = None,
) -> None:
    """Make another machine for a host beside the one that serves (the newest image of infra:amiParameter, another
    instance type), bring it the release and the data, point the names to it once it has passed the gate. The old one
    stays until infra host retire. Interrupted or failed, the same command goes on. With --check: say all that is in the
    way; 2 when something is."""
    from infra.errors import InfraError
    from infra.move import replacing

    if (back or give_up) and (type or check or not keep or (back and give_up)):
        raise InfraError("--back and --give-up go to a machine that is there: with --yes and --report alone")
    way = replacing.Way.BACK if back else replacing.Way.GIVE_UP if give_up else replacing.Way.FORWARD
    catalogue = sound_catalogue_of(stack)
    if check:
        replacing.check(catalogue, host, type)
    else:
        replacing.replace_machine(catalogue, host, replacing.Wish(type, way, keep, yes, report))


@group.command(name="retire")
def retire(host: Named, stack: StackName, yes: Yes = False) -> None:
    """Delete the earlier machines that a host keeps, with their disks, once no request comes to them."""
    from infra.move import replacing

    replacing.retire(sound_catalogue_of(stack), host, yes)
