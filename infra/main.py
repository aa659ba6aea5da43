"""The `infra` command line."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from catalogue.checks import check as problems_of
from catalogue.checks import checked
from catalogue.loading import Catalogue, load
from catalogue.problems import CatalogueError, errors
from catalogue.stack import read_stack
from infra.errors import InfraError
from infra.paths import config_file, project_root

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
StackName = Annotated[str, typer.Option("--stack", envvar="PULUMI_STACK", help="Stack, as in Pulumi.STACK.yaml.")]


def catalogue_of(stack: str) -> Catalogue:
    root = project_root()
    return load(root, read_stack(root, stack, config_file(stack)))


@app.callback()
def infra() -> None:
    """Hosts, releases and moves of the stacks in this project."""


@app.command()
def check(stack: StackName) -> None:
    """Check a stack's catalogue and configuration; needs neither Pulumi nor AWS."""
    catalogue = catalogue_of(stack)
    found = problems_of(catalogue)
    for problem in found:
        typer.echo(str(problem), err=True)
    if errors(found):
        raise typer.Exit(1)
    services = sum(len(system.active) for system in catalogue.running.values())
    typer.echo(f"stack {stack}: {services} services on {len(catalogue.stack.hosts)} host(s), {len(found)} warning(s)")


@app.command()
def render(stack: StackName, out: Annotated[Path, typer.Option(help="Directory to write DIR/HOST/… to.")]) -> None:
    """Write the exact files of every host, byte for byte what a release carries, and its manifest. Images are named by
    their digest where the stack's registry can be asked."""
    from infra import rendered

    for line in rendered.write(stack, out):
        typer.echo(line)


@app.command()
def docs() -> None:
    """Make the tables of the system pages (docs/systems/) anew from the catalogue."""
    from infra.docs import write_pages

    for path in write_pages(project_root()):
        typer.echo(f"written: {path}")


@app.command()
def init(stack: StackName) -> None:
    """Make a stack's SSH and host keys and keep them as encrypted configuration. Keys that are there stay."""
    from infra.init import initialise

    catalogue = catalogue_of(stack)
    for line in initialise(catalogue.stack):
        typer.echo(line)


HostName = Annotated[str | None, typer.Option("--host", help="Host, where the stack has several.")]


@app.command()
def status(
    stack: StackName,
    host: HostName = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every host at a glance: region, release and whether it is the stack's, services, alerts, certificates, what
    was changed by hand, what it repaired; 2 when not all is in order."""
    from infra import status as looking

    found = looking.of_stack(catalogue_of(stack).stack, host)
    typer.echo(looking.as_json(stack, found) if json else "\n".join(looking.lines(found)))
    if not all(entry.said[1] for entry in found):
        raise typer.Exit(2)


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="A service, nginx or caddy, monitor, watch, or releases.")],
    stack: StackName,
    host: HostName = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of before, from each host.")] = 50,
) -> None:
    """Show what a service says, from every host that runs it. Secrets of the stack are masked."""
    from infra import logs as telling

    catalogue = catalogue_of(stack)
    for line in telling.lines(catalogue, service, host, lines, follow):
        typer.echo(line)


@app.command(name="boot-times")
def boot_times(stack: StackName, host: HostName = None) -> None:
    """Show how long after being switched on each host reached its milestones; 2 when one was late or is not reached."""
    from infra import hosts, releases, ssh

    fine = True
    for name, target in hosts.targets(catalogue_of(stack).stack, host).items():
        lines, in_time = releases.boot_times(name, ssh.ask(target, "boot-times"))
        fine = fine and in_time
        typer.echo("\n".join(lines))
    if not fine:
        raise typer.Exit(2)


@app.command()
def drift(stack: StackName, host: HostName = None) -> None:
    """Show what was changed by hand on each host since its release, as a unified diff; 2 when there is something."""
    from infra import hosts, releases, ssh

    found = False
    for name, target in hosts.targets(catalogue_of(stack).stack, host).items():
        answer = ssh.ask(target, "drift")
        found = found or bool(answer["drift"])
        typer.echo(releases.drift(name, answer))
    if found:
        raise typer.Exit(2)


@app.command(name="releases")
def list_releases(stack: StackName, host: HostName = None) -> None:
    """List what was done on each host: when, by whom, what changed and how it ended."""
    from rich.console import Console

    from infra import hosts, releases, ssh

    for name, target in hosts.targets(catalogue_of(stack).stack, host).items():
        # Into a file or a pipe whole, whatever a terminal's width would be
        Console(width=None if sys.stdout.isatty() else 220).print(releases.history(name, ssh.ask(target, "releases")))


@app.command()
def rollback(
    stack: StackName,
    release: Annotated[
        str | None, typer.Argument(help="Beginning of a kept release's id; else the one before.")
    ] = None,
    host: HostName = None,
) -> None:
    """Go back on a host to a release that it keeps: files, images and environment, without the network."""
    from functools import partial

    from infra import delivery, hosts, outside

    made = catalogue_of(stack).stack
    found = hosts.targets(made, host)
    if len(found) > 1:
        raise InfraError(f"name the host with --host: {', '.join(sorted(found))}")
    (target,) = found.values()
    look = partial(outside.complaint, target.address, made.trustedRoots)
    ended = delivery.go_back(target, release, made.confirmDeadline, look, lambda line: typer.echo(line, err=True))
    typer.echo(ended["line"])
    raise typer.Exit(ended["code"])


@app.command()
def prune(stack: StackName, host: HostName = None) -> None:
    """Remove the images on each host that no kept release needs and no container uses."""
    from infra import hosts, ssh

    for name, target in hosts.targets(catalogue_of(stack).stack, host).items():
        typer.echo(f"{name}: freed up to {ssh.ask(target, 'prune')['freed'] // 1024**2} MiB")


@app.command(name="scan-regions")
def scan_regions(
    paths: Annotated[list[Path], typer.Argument(help="Repositories, folders or files to look through.")],
    old: Annotated[str, typer.Option("--from", help="The region to look for.")],
    new: Annotated[str, typer.Option("--to", help="The region that takes its place.")],
    change: Annotated[bool, typer.Option("--write", help="Change the files, instead of only showing how.")] = False,
) -> None:
    """Find hard-coded regions in other repositories, say which kind each is, and show or make the change; 2 while any
    is left."""
    from infra import scan

    for region in (old, new):
        if not scan.REGION.fullmatch(region):
            raise InfraError(f"{region!r} is no region; a region is such as ap-northeast-1")
    if old == new:
        raise InfraError(f"--from and --to are both {old}: nothing would change")
    if missing := [str(path) for path in paths if not path.exists()]:
        raise InfraError(f"not there: {', '.join(missing)}")
    found = list(scan.scan(paths, old, new))
    for file in found:
        for mention in file.mentions:
            left = "" if mention.becomes else ": cannot be changed without knowing what has this name"
            typer.echo(
                f"{file.shown}:{mention.line}: {mention.kind} in {scan.a_file(file.kind)}: {mention.found}{left}"
            )
    left = sum(mention.becomes is None or not change for file in found for mention in file.mentions)
    for file in found if change else []:
        scan.write(file)
    if not change and (diffs := "\n".join(file.diff for file in found if file.changed != file.text)):
        typer.echo(f"\n{diffs}\n")
    total = sum(len(file.mentions) for file in found)
    if any(mention.kind in scan.ELSEWHERE for file in found for mention in file.mentions):
        typer.echo("an ARN or an endpoint may name what does not move with a stack (a bucket, a queue): look at those")
    written = ", changed" if change and total > left else ""
    typer.echo(f"{total} mention(s) of {old} in {len(found)} file(s){written}, {left} left")
    if left:
        raise typer.Exit(2)


@app.command()
def move(
    region: Annotated[str, typer.Argument(help="The region to move to, such as ap-northeast-1.")],
    stack: StackName,
    check: Annotated[bool, typer.Option("--check", help="Only look whether it can be done; changes nothing.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep/--retire", help="Keep the old region standing by, or delete it once nobody asks it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it begins.")] = False,
    report: Annotated[Path | None, typer.Option(help="Where to write the report (Markdown).")] = None,
) -> None:
    """Move a stack to another region: look what is in the way, show every step, do it, and write a report. Interrupted
    or failed, the same command goes on. With --check: say all that is in the way; 2 when something is."""
    from infra.move import command

    catalogue = checked(catalogue_of(stack))
    if check:
        command.check(catalogue, region)
    else:
        command.move(catalogue, region, keep, yes, report)


adopting = typer.Typer(no_args_is_help=True, help="Take over what was made by hand, as it is.")
app.add_typer(adopting, name="adopt")


@adopting.command(name="aws")
def adopt_aws(
    stack: StackName,
    region: Annotated[str, typer.Option(help="Region where it was made.")],
    host: Annotated[str | None, typer.Option(help="The stack's host that it is, where there are several.")] = None,
    instance: Annotated[str | None, typer.Option(help="Its instance, where no public name leads to one.")] = None,
    user: Annotated[str, typer.Option(help="Its owner's account on it.")] = "ubuntu",
    identity: Annotated[
        Path | None, typer.Option(help="Its owner's private key: lets the stack's key in, and pins its host key.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it begins.")] = False,
) -> None:
    """Find an instance, its address, security group, repositories and record; show what they are to the program and
    what differs; and take them over, so that no update replaces or deletes the host."""
    from infra.adopt import command

    command.adopt(checked(catalogue_of(stack)), region, host, instance, command.Owner(user, identity), yes)


@app.command()
def push(
    image: Annotated[str, typer.Argument(help="REPOSITORY[:TAG] of the catalogue, such as watchme-api-ast:latest.")],
    stack: StackName,
    source: Annotated[str, typer.Option("--from", help="An image of Docker here, or oci:DIR, docker-archive:FILE.")],
    region: Annotated[str | None, typer.Option(help="Region to push to; else where the stack is.")] = None,
) -> None:
    """Push an image of this machine into the stack's registry, the first one of a new service included."""
    from infra import push as pushing

    catalogue = catalogue_of(stack)
    where = region or catalogue.stack.region
    digest = pushing.push(catalogue, image, source, where)
    typer.echo(f"{image} is in {where}: {digest}; pulumi up --stack {stack} releases it")


@app.command()
def preview(
    base: Annotated[str, typer.Option(help="Commit to compare the working tree with.")] = "origin/main",
    stack: Annotated[list[str] | None, typer.Option(help="Stack, several times; else all that have a file.")] = None,
    format: Annotated[str, typer.Option(help="terminal, markdown, json or html.")] = "terminal",
    out: Annotated[Path | None, typer.Option(help="File to write; else standard output.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Fold nothing.")] = False,
    mocks: Annotated[bool, typer.Option("--mocks", help="Ask neither Pulumi nor hosts, though they could be.")] = False,
) -> None:
    """Show what a change does to the cloud, to every host and to the bill. Where Pulumi is logged in and knows the
    stack, from `pulumi preview` and the hosts themselves; else by comparing two commits, without AWS. 1 when the
    catalogue does not validate or the policy refuses it."""
    from infra.preview import command, plans

    if format not in command.FORMATS:
        raise InfraError(f"--format {format}: formats are {', '.join(command.FORMATS)}")
    report = command.made(base, stack or [], mocks)
    plans.keep(report)
    command.write(report, format, out, whole)
    raise typer.Exit(report.code)


@app.command()
def up(
    stack: StackName,
    plan: Annotated[str, typer.Option(help="Fingerprint of the preview that was approved.")],
    base: Annotated[str, typer.Option(help="Commit that a preview without AWS was compared with.")] = "origin/main",
) -> None:
    """Do what was approved: `pulumi up`, refused when it would now do anything else, with what changed since."""
    from infra.preview import plans

    raise typer.Exit(plans.up(stack, plan, base))


@app.command()
def comment(
    files: Annotated[list[Path], typer.Argument(help="Previews, as --format markdown wrote them.")],
    repository: Annotated[str, typer.Option(envvar="GITHUB_REPOSITORY", help="OWNER/NAME.")],
    pull: Annotated[int | None, typer.Option(help="Number of the pull request.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="OWNER:BRANCH it comes from, where its number is not known.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Commit that it must be at; else nothing is written.")] = None,
    api: Annotated[str, typer.Option(envvar="GITHUB_API_URL")] = "https://api.github.com",
) -> None:
    """Write previews as comments of a pull request, one for each stack, edited in place. GITHUB_TOKEN is the token."""
    from infra import comment as comments
    from infra.preview.commits import stacks

    if not (token := os.environ.get("GITHUB_TOKEN")):
        raise InfraError("GITHUB_TOKEN is not set: a token that may write comments of the pull request")
    if pull is None and (source is None or head is None):
        raise InfraError("which pull request: --pull NUMBER, or --from OWNER:BRANCH with --head COMMIT")
    texts = comments.read(files, stacks(project_root()))
    if pull is None:
        to = comments.found(api, repository, token, source or "", head or "")
    else:
        to = comments.Pull(api, repository, pull, token)
    for line in comments.post(to, texts, head):
        typer.echo(line)


def run() -> None:
    """The console script: a user's mistake is a line on stderr and exit code 1, never a traceback."""
    try:
        app()
    except CatalogueError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None
    except InfraError as error:
        typer.echo(f"infra: {error}", err=True)
        raise SystemExit(1) from None
