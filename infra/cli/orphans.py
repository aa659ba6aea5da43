"""What killed updates left in AWS."""

from typing import Annotated

import typer

from infra.cli import StackName, app, stack_of
from infra.errors import InfraError


@app.command()
def orphans(
    stack: StackName,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Adopt resources of interrupted creations into the state, after confirmation."),
    ] = False,
    delete: Annotated[
        list[str] | None,
        typer.Option(
            help="ID or REGION/ID of an orphan to delete with the next update, after confirmation; repeatable."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """List resources in AWS that have this stack's tags, or that a killed update created, but that are in no state,
    with their cost; exit code 2 when there are any. `infra up` and `infra move` adopt automatically what killed
    updates left."""
    from infra.orphans import command, listing

    stack_model = stack_of(stack)
    # What no update knows of is never adopted
    whole = bool(delete) or not adopt
    leftovers, others = listing.look(stack_model, whole)
    everything = [*leftovers.orphans, *others]
    for line in listing.lines(leftovers, others, whole):
        typer.echo(line)
    if not adopt and not delete:
        raise typer.Exit(2 if everything or leftovers.unknown else 0)
    selected_orphans, question = listing.choose(everything, adopt, delete or [])
    if not selected_orphans and not leftovers.traceless:
        others = f"other resources with this stack's tags: infra orphans --stack {stack}"
        typer.echo(f"nothing to adopt: no interrupted creation is recorded; {others}")
        return
    if selected_orphans and not yes and not typer.confirm(f"\n{question}"):
        raise InfraError("nothing was touched")
    command.write(stack, leftovers, selected_orphans)
    if selected_orphans:
        typer.echo(f"done. Check the next update: pulumi preview --diff --stack {stack}")
    else:
        typer.echo("done: the interrupted creations left nothing in AWS; their records were removed")


@app.command()
def unlock(stack: StackName) -> None:
    """Show who holds the stack's lock in Pulumi's state, and since when; remove it if its update has certainly
    ended: one that was started from this checkout on this machine, or one in GitHub Actions whose run GitHub reports as
    completed. GH_TOKEN or GITHUB_TOKEN is the token for that; it needs actions: read."""
    from infra import unlocking

    typer.echo(unlocking.unlock(stack_of(stack).name))
