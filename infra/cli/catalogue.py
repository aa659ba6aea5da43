"""What is said of the catalogue and its stacks, and what is made of it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.quoting import count
from catalogue.problems import CatalogueError, Problem, before_values, errors
from catalogue.stack import stack_names
from infra.cli import StackName, app, catalogue_of, stack_of, valid_catalogue
from infra.errors import InfraError
from infra.paths import project_root

if TYPE_CHECKING:
    from catalogue.loading import Catalogue


@app.command()
def check(
    stack: StackName,
    live: Annotated[
        bool, typer.Option("--live", help="Check the AWS account, rights and quotas too; needs AWS and Pulumi logins.")
    ] = False,
) -> None:
    """Check a stack's catalogue and configuration, by their files alone: without AWS, a Pulumi login or a passphrase.
    An encrypted secret counts as set; one without a value is a warning here, and refused by an update. With --live
    also what an update would lack: secrets' values, and in AWS rights (policies, boundaries, the organisation's),
    quotas, regions, names that are taken."""
    from catalogue.checks import check as problems_of
    from catalogue.growth import growth_notes
    from catalogue.rules.hosts import unique_public_names

    catalogue = catalogue_of(stack)
    problems = [*unique_public_names(catalogue, _other_catalogues(stack)), *problems_of(catalogue)]
    unset = sum(bool(problem.unset) for problem in problems)
    problems = problems if live else before_values(problems)
    if not errors(problems):
        problems += _collisions(catalogue)
    if live and not [problem for problem in errors(problems) if not problem.unset]:
        from infra.account import command

        problems += command.problems(catalogue)
        problems += _records(catalogue)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if errors(problems):
        raise typer.Exit(1)
    services = sum(len(system.active) for system in catalogue.running.values())
    hosts = count(len(catalogue.stack.hosts), "host")
    summary = f"stack {stack}: {count(services, 'service')} on {hosts}, {count(len(problems), 'warning')}"
    typer.echo(f"{summary}; updates are refused: {count(unset, 'secret')} without a value" if unset else summary)
    for line in [*_following(catalogue), *growth_notes(catalogue), *_proposals(catalogue)]:
        typer.echo(line)


def _following(catalogue: "Catalogue") -> Iterator[str]:
    """What hosts deploy by themselves."""
    from rendering.following import followers

    for host in catalogue.stack.hosts:
        for service in followers(catalogue, host):
            yield f"{service.name} on {host} follows tag {service.followed_tag} of {service.image.repository} by itself"


def _proposals(catalogue: "Catalogue") -> Iterator[str]:
    """What the stack could say and does not need to."""
    from catalogue.rules.records import issuer, proposed_records

    if names := [record.name for record in proposed_records(catalogue)]:
        yield (
            f"no CAA record of infra:records lets {issuer(catalogue)} alone issue certificates of {', '.join(names)}; "
            f"infra dns show --stack {catalogue.stack.name} proposes records"
        )


def _records(catalogue: "Catalogue") -> Iterator[Problem]:
    """What an update would be refused at Cloudflare."""
    if catalogue.stack.dns.provider == "cloudflare":
        from infra import zone_records

        yield from zone_records.missing(catalogue)


def _collisions(catalogue: "Catalogue") -> Iterator[Problem]:
    """What only the rendered files of a host show."""
    from rendering.host import render

    for host in catalogue.stack.hosts:
        try:
            render(catalogue, host)
        except CatalogueError as error:
            yield from error.problems


def _other_catalogues(stack: str) -> Iterator["Catalogue"]:
    """Those of the project's other stacks; one that is not sound has its own check."""
    for name in (name for name in stack_names(project_root()) if name != stack):
        with suppress(CatalogueError):
            yield catalogue_of(name)


@app.command()
def rights(
    role: Annotated[str, typer.Argument(help="plan, deploy, operator, or access.")],
    stack: StackName,
) -> None:
    """Print the smallest IAM policy that a role (plan, deploy, operator) needs, in addition to those of the roles
    before it. `access` is what opening SSH for CI's own address needs beside plan, where infra:temporarySsh is set."""
    import json

    from infra.account import access, policies

    if role not in (*policies.ROLES, access.ROLE):
        raise InfraError(f"no role {role!r}; roles: {', '.join(policies.ROLES)}, {access.ROLE}")
    catalogue = valid_catalogue(stack, with_values=False)
    policy = access.policy(catalogue.stack) if role == access.ROLE else policies.policy(catalogue, role)
    typer.echo(json.dumps(policy, indent=2))
    if (size := policies.size(policy)) > policies.LIMIT:
        warning = (
            f"a managed policy has at most {policies.LIMIT} characters, this one has {size}: split its "
            "statements into several policies"
        )
        typer.echo(warning, err=True)


@app.command()
def render(stack: StackName, out: Annotated[Path, typer.Option(help="Directory to write to, as DIR/HOST/….")]) -> None:
    """Write the exact files of every host, byte for byte what a release carries, and its manifest. Where Pulumi is
    logged in, images are named by their digest; without a login by their tags, and no secret needs a value."""
    from infra import host_files

    for line in host_files.write(stack, out):
        typer.echo(line)


@app.command()
def docs() -> None:
    """Regenerate the tables of the system pages (docs/systems/) and the reference (docs/reference/)."""
    from infra.docs import write_pages

    for path in write_pages(project_root()):
        typer.echo(f"written: {path}")


@app.command()
def init(stack: StackName) -> None:
    """Make a stack's SSH and host keys and keep them as encrypted configuration. Existing keys are kept."""
    from infra.init import initialise

    for line in initialise(stack_of(stack)):
        typer.echo(line)


@app.command()
def images(
    stack: StackName,
    outdated: Annotated[bool, typer.Option("--outdated", help="Only images with a newer version.")] = False,
    update: Annotated[str | None, typer.Option(help="IMAGE:TAG to copy again from its registry.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List images from other registries: the versions that the stack uses, and newer ones."""
    from infra import images as others

    catalogue = catalogue_of(stack)
    if update:
        typer.echo(others.update(catalogue, update))
        return
    entries = [image for image in others.look(catalogue) if not outdated or image.newer or image.here != image.there]
    if json_output:
        typer.echo(others.as_json(entries))
        return
    for image in entries:
        typer.echo(image.line)
    if not entries:
        typer.echo("nothing newer" if outdated else "the stack uses no images of other registries")


@app.command()
def push(
    image: Annotated[str, typer.Argument(help="REPOSITORY[:TAG] of the catalogue, such as watchme-api-ast:latest.")],
    stack: StackName,
    sources: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="A local Docker image, oci:DIR or docker-archive:FILE; for an artefact a directory, file or archive, "
            "one for each architecture.",
        ),
    ],
    region: Annotated[str | None, typer.Option(help="Region to push to; default: the stack's.")] = None,
    architecture: Annotated[
        Literal["amd64", "arm64"] | None,
        typer.Option(help="Architecture of an artefact; default: that of its programs."),
    ] = None,
) -> None:
    """Push an image or an artefact of this machine into the stack's registry, the first one of a new service
    included."""
    from infra import push as pushing

    catalogue = catalogue_of(stack)
    where = region or catalogue.stack.region
    digest, packed = pushing.push(catalogue, image, sources, where, architecture)
    what = f" ({packed})" if packed else ""
    typer.echo(f"{image} is in {where}: {digest}{what}; {pushing.next_step(catalogue, image)}")


@app.command()
def explain(
    field: Annotated[
        str, typer.Argument(help="A field of the catalogue, a key of the stack, an alert, or a term of the glossary.")
    ],
) -> None:
    """Print what a field of files/systems/, a key of Pulumi.STACK.yaml, an alert or a term of the glossary means."""
    from infra import explaining

    for line in explaining.explain(project_root(), field):
        typer.echo(line)
