"""What a change will do, and doing it."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from infra.cli import HostName, StackName, app, catalogue_of, duration, valid_catalogue
from infra.completing import complete_services, complete_stacks, host_names, of_catalogue, of_stack, service_names
from infra.errors import InfraError
from infra.paths import project_root

USUAL = "origin/main, or HEAD where there is none"


@app.command()
def preview(
    base: Annotated[
        str | None, typer.Option(help=f"Commit to compare the working tree with; default: {USUAL}.")
    ] = None,
    stack: Annotated[
        list[str] | None,
        typer.Option(help="Stack, repeatable; default: all stacks.", autocompletion=complete_stacks),
    ] = None,
    format: Annotated[str, typer.Option(help="Format: terminal, markdown, json or html.")] = "terminal",
    out: Annotated[Path | None, typer.Option(help="File to write; default: standard output.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Show every diff in full.")] = False,
    fingerprints: Annotated[
        Path | None, typer.Option(help="File to write, with a line `STACK FINGERPRINT` for each stack.")
    ] = None,
    mocks: Annotated[bool, typer.Option("--mocks", help="Compare only the commits, without Pulumi and hosts.")] = False,
) -> None:
    """Show what a change does to the cloud, to every host and to the bill. Where Pulumi is logged in and knows the
    stack, from `pulumi preview` and the hosts themselves; else by comparing two commits, which needs git and neither
    AWS, a Pulumi login nor a passphrase: secrets stay encrypted, and one without a value is a warning. Exit
    code 1 if the catalogue does not validate or the policy refuses the change."""
    from infra.preview import command, commits, plans

    if format not in command.FORMATS:
        raise InfraError(f"--format {format}: formats are {', '.join(command.FORMATS)}")
    report = command.build_report(base or commits.usual(), stack or [], mocks)
    plans.keep(report)
    command.write(report, format, out, whole)
    if fingerprints:
        command.write_fingerprints(report, fingerprints)
    raise typer.Exit(report.code)


@app.command()
def up(
    stack: StackName,
    plan: Annotated[str, typer.Option(help="Fingerprint of the approved preview.")],
    base: Annotated[
        str | None, typer.Option(help=f"Base commit of an approved preview without AWS; default: {USUAL}.")
    ] = None,
) -> None:
    """Run `pulumi up` for an approved preview. Refused, with the differences, if the plan has changed since."""
    from infra.preview import commits, plans

    raise typer.Exit(plans.up(stack, plan, base or commits.usual()))


@app.command()
def deploy(
    services: Annotated[
        list[str], typer.Argument(help="Services, all on the same host.", autocompletion=complete_services)
    ],
    stack: StackName,
    image: Annotated[
        str | None, typer.Option(help="Tag or digest (sha256:…); default: the current image of its tag.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Deploy the current image of its tag, and let pulumi up follow the tag again."),
    ] = False,
    host: HostName = None,
    wait: Annotated[str, typer.Option(help="How long to wait for another update of the stack, such as 10m.")] = "",
) -> None:
    """Deploy a new image or artefact of some services, and nothing else, with the health gate and rollback of every
    release. The stack records the digest, and pulumi up keeps it, whatever its tag points to later."""
    from infra import deploying, locks
    from infra.move.command import may_remove_lock

    services = list(dict.fromkeys(services))
    if image is not None and (len(services) > 1 or follow):
        raise InfraError("--image says which build of one service is deployed: name one, without --follow")
    catalogue = valid_catalogue(stack)
    place, services_by_name = deploying.host_of(catalogue, services, host)
    region, account = catalogue.stack.region, catalogue.stack.accountId
    images = {
        name: deploying.digests_to_deploy(service, image, region, account) for name, service in services_by_name.items()
    }
    deployment, say = deploying.Deployment(place, images, follow), partial(typer.echo, err=True)
    work = partial(deploying.deploy, catalogue, deployment, say, may_remove_lock)
    typer.echo(locks.patiently(work, duration("--wait", wait) if wait else 0, say))


@app.command()
def promote(
    service: Annotated[
        str,
        typer.Argument(help="A service of both stacks.", autocompletion=of_catalogue(service_names, "source")),
    ],
    source: Annotated[
        str, typer.Option("--from", help="Stack to copy from, such as dev.", autocompletion=complete_stacks)
    ],
    target: Annotated[
        str, typer.Option("--to", help="Stack to deploy to, such as prod.", autocompletion=complete_stacks)
    ],
    source_host: Annotated[
        str | None,
        typer.Option(
            "--from-host",
            help="Host of the source stack, if it has several.",
            autocompletion=of_stack(host_names, "source"),
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            help="Host of the target stack, if it has several.",
            autocompletion=of_stack(host_names, "target"),
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Deploy the image that one stack serves to another stack, by its digest. A registry that lacks it gets a copy;
    health gate and rollback are those of every deploy. What differs is shown first, with what the images' labels say
    (commit, version, date)."""
    from infra import deploying, promoting
    from infra.move.command import may_remove_lock

    catalogue = valid_catalogue(target)
    promotion = promoting.plan_promotion(catalogue_of(source), catalogue, service, source_host, host)
    for line in promoting.lines(promotion, catalogue):
        typer.echo(line)
    if not (yes or typer.confirm(f"deploy this to {promotion.deployment.host} of stack {target}?", err=True)):
        raise InfraError("nothing was deployed")
    for line in promoting.bring_images(promotion, catalogue):
        typer.echo(line, err=True)
    typer.echo(
        deploying.deploy(catalogue, promotion.deployment, lambda line: typer.echo(line, err=True), may_remove_lock)
    )


@app.command()
def comment(
    files: Annotated[list[Path], typer.Argument(help="Previews, as written by --format markdown.")],
    repository: Annotated[str, typer.Option(envvar="GITHUB_REPOSITORY", help="OWNER/NAME.")],
    pull: Annotated[int | None, typer.Option(help="Number of the pull request.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="OWNER:BRANCH of the pull request, instead of its number.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Expected commit; with another one nothing is written.")] = None,
    api: Annotated[
        str, typer.Option(envvar="GITHUB_API_URL", help="Address of GitHub's API.")
    ] = "https://api.github.com",
) -> None:
    """Write previews as comments of a pull request, one for each stack, edited in place. GITHUB_TOKEN is the token."""
    from catalogue.stack import stack_names
    from infra import comment as comments

    if not (token := os.environ.get("GITHUB_TOKEN")):
        raise InfraError("GITHUB_TOKEN is not set: it needs a token that may write comments on the pull request")
    if pull is None and (source is None or head is None):
        raise InfraError("which pull request: --pull NUMBER, or --from OWNER:BRANCH with --head COMMIT")
    texts = comments.read(files, stack_names(project_root()))
    if pull is None:
        to = comments.find_pull(api, repository, token, source or "", head or "")
    else:
        to = comments.Pull(api, repository, pull, token)
    for line in comments.post(to, texts, head, comments.languages(project_root(), texts)):
        typer.echo(line)
