"""Commands that ask hosts, and act on them."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.quoting import count
from catalogue.problems import CatalogueError
from catalogue.proxies import NAMES as PROXIES
from catalogue.stack import Stack, stack_names
from infra.cli import HostName, StackName, app, catalogue_of, duration, stack_of, valid_catalogue
from infra.completing import complete_hosts, complete_logs, complete_services, complete_stacks
from infra.errors import InfraError, gather_errors
from infra.paths import project_root

if TYPE_CHECKING:
    from agent.documents.answers import Drift
    from catalogue.loading import Catalogue
    from infra.ssh import Target

MOST_LINES = 5000  # of a service, where a time is asked for


@app.command()
def status(
    stack: StackName,
    host: HostName = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every host at a glance: region, release and whether it is the stack's, services, alerts, certificates,
    manual changes, automatic repairs. Exit code 2 when a host is not in order."""
    from infra import status as looking

    statuses = looking.of_stack(stack_of(stack), host)
    typer.echo(looking.as_json(stack, statuses) if json else "\n".join(looking.lines(statuses)))
    if not all(entry.summary[1] for entry in statuses):
        raise typer.Exit(2)


@app.command()
def dashboard(
    stack: Annotated[
        list[str] | None,
        typer.Option(
            "--stack",
            envvar="PULUMI_STACK",
            help="Name of a stack; several times for several.",
            autocompletion=complete_stacks,
        ),
    ] = None,
    all_stacks: Annotated[bool, typer.Option("--all", help="Every stack of the project.")] = False,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("dashboard.html"),
) -> None:
    """Write a page about all hosts of stacks: state, release, services, certificates, alerts, backups, costs, and the
    last 30 days of memory, disks and requests. One HTML file without scripts, in the first stack's infra:language and
    infra:timezone. A host that does not answer is on it with the reason."""
    import time

    from infra import dashboard as dashboards
    from infra import writing

    names = stack_names(project_root()) if all_stacks else list(dict.fromkeys(stack or []))
    if not names:
        raise InfraError("name a stack with --stack, or all with --all")
    facts = dashboards.collect(names, stack_of, time.time())
    writing.put(out, dashboards.html(facts))
    hosts = [host for one in facts.stacks for host in one.hosts]
    typer.echo(f"{out}: {count(len(hosts), 'host')} of {count(len(names), 'stack')}")
    for line in dashboards.silent(facts):
        typer.echo(f"  {line}", err=True)


@app.command()
def logs(
    stack: StackName,
    services: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Services, systems (all of their services), {' or '.join(PROXIES)}, monitor, watch, memory, or "
            "releases; default: list these names.",
            autocompletion=complete_logs,
        ),
    ] = None,
    host: HostName = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow new lines until Ctrl-C.")] = False,
    lines: Annotated[
        int | None,
        typer.Option(
            "--lines", "-n", min=0, help="Number of existing lines for each service and host.", show_default="50"
        ),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only lines since then, such as 10m or 2h.")] = None,
    grep: Annotated[str, typer.Option(help="Only lines that match this regular expression.")] = "",
) -> None:
    """Show logs of services from every host that runs them, in order of time. Secrets of the stack are masked."""
    from infra import logs as service_logs

    catalogue = catalogue_of(stack)
    ago = None if since is None else duration("--since", since)
    count = lines if lines is not None else MOST_LINES if ago is not None else 50
    which = service_logs.Selection(count, follow, ago, grep)
    paint = str if os.environ.get("NO_COLOR") else service_logs.in_its_colour
    # typer.echo takes colours away where standard output is no terminal
    for line in service_logs.lines(catalogue, services or [], host, which, paint):
        typer.echo(line)


@app.command(name="boot-times")
def boot_times(stack: StackName, host: HostName = None) -> None:
    """Show how long after being switched on each host reached its milestones. Exit code 2 when one was late or not
    reached."""
    from infra import hosts, releases, remote

    fine = True
    with gather_errors() as alone:
        for name, target in hosts.targets(stack_of(stack), host).items():
            with alone():
                lines, in_time = releases.boot_times(name, remote.ask(target, "boot-times"))
                fine = fine and in_time
                typer.echo("\n".join(lines))
    if not fine:
        raise typer.Exit(2)


@app.command()
def drift(
    stack: StackName,
    path: Annotated[str | None, typer.Argument(help="With --adopt: only this path of the host.")] = None,
    host: HostName = None,
    cloud: Annotated[bool, typer.Option("--cloud", help="Check AWS instead of the hosts.")] = False,
    notify: Annotated[
        bool, typer.Option("--notify", help="With --cloud: send the findings to infra:alarmEmails.")
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Apply the running release again, after confirmation.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Show which catalogue changes would keep the manual edits.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --adopt: change the files below files/static/ that this concerns.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --restore: do not ask for confirmation.")] = False,
) -> None:
    """Show what was changed by hand on each host since its release, as a unified diff; exit code 2 when there are
    changes. With --restore, the release's files are restored, and the changed ones are kept on the host. With
    --adopt: the file or the keys of the project in which each change would have to be made. With --cloud: differences
    between AWS and the last update, stopped machines, and events that AWS announces, each with its remedy."""
    from infra import hosts, releases, remote, restoring

    if notify and not cloud:
        raise InfraError("--notify needs --cloud: drift of hosts is reported by their monitors")
    if restore and cloud:
        raise InfraError("--restore is for hosts: pulumi up --refresh restores drift in AWS")
    if cloud and (adopt or path or write):
        raise InfraError("--adopt is for hosts: infra drift --cloud names the key that keeps a change in AWS")
    if ((path or write) and not adopt) or (adopt and restore):
        raise InfraError("PATH and --write need --adopt, and --adopt and --restore exclude each other")
    if cloud:
        _drift_of_cloud(stack_of(stack), host, notify)
        return
    if adopt:
        _adopt_hand_edits(stack, host, path, write)
        return
    stack_model = stack_of(stack)
    drifted: dict[str, tuple[Target, Drift]] = {}
    code = 0
    with gather_errors() as alone:
        for name, target in hosts.targets(stack_model, host).items():
            with alone():
                answer = remote.ask(target, "drift")
                drifted |= {name: (target, answer)} if answer["drift"] else {}
                typer.echo(releases.drift(name, answer))
        for name, (target, answer) in drifted.items() if restore else ():
            if not (yes or typer.confirm(restoring.question(name, answer), err=True)):
                raise InfraError(f"{name}: nothing was restored")
            line, code = restoring.restore(stack_model, target, answer, lambda line: typer.echo(line, err=True))
            typer.echo(line)
            if code:
                break
    if code or (drifted and not restore):
        raise typer.Exit(code or 2)


def _adopt_hand_edits(stack: str, host: str | None, path: str | None, write: bool) -> None:
    from infra import hosts, releases, remote
    from infra.drift import hand_edits

    catalogue = valid_catalogue(stack, with_values=False)
    values = hand_edits.known_secrets(stack)
    edits: list[hand_edits.Edit] = []
    with gather_errors() as alone:
        for name, target in hosts.targets(catalogue.stack, host).items():
            with alone():
                answer = remote.ask(target, "drift")
                if not answer["drift"]:
                    typer.echo(releases.drift(name, answer))
                    continue
                edits += hand_edits.edits_of(catalogue, name, answer, remote.ask(target, "contents"), values)
    edits = hand_edits.select(edits, path)
    for edit in edits:
        typer.echo("\n".join(edit.lines()))
    if hand_edits.write(project_root(), edits, typer.echo) if write else edits:
        raise typer.Exit(2)


def _drift_of_cloud(stack: Stack, host: str | None, notify: bool) -> None:
    from infra.drift import command

    if host:
        raise InfraError("--cloud checks the whole stack: leave out --host")
    cloud_drift = command.look(stack)
    typer.echo("\n".join(cloud_drift.lines()))
    if notify and (cloud_drift.findings or cloud_drift.unknown):
        typer.echo(command.notify(stack, cloud_drift), err=True)
    if cloud_drift.findings or cloud_drift.unknown:
        raise typer.Exit(1 if cloud_drift.unknown else 2)


@app.command(name="releases")
def list_releases(stack: StackName, host: HostName = None) -> None:
    """List what was done on each host: when, by whom, what changed and how it ended."""
    from rich.console import Console

    from infra import hosts, releases, remote

    with gather_errors() as alone:
        for name, target in hosts.targets(stack_of(stack), host).items():
            with alone():
                answer = remote.ask(target, "releases")
                # Into a file or a pipe whole, whatever a terminal's width would be
                Console(width=None if sys.stdout.isatty() else 220).print(releases.history(name, answer))
                for line in releases.damage(name, answer):
                    typer.echo(line)


def _with_service(stack: str, name: str) -> "Catalogue | None":
    """The catalogue, where it has a service of that name. The way back to a release does not hang on one that is
    sound. Raises CatalogueError where the name can be no release's."""
    try:
        catalogue = valid_catalogue(stack)
    except CatalogueError:
        if re.fullmatch("[0-9a-f]+", name):
            return None
        raise
    services = {service.name for system in catalogue.running.values() for service in system.active}
    return catalogue if name in services or not re.fullmatch("[0-9a-f]+", name) else None


@app.command()
def rollback(
    stack: StackName,
    release_or_service: Annotated[
        str | None,
        typer.Argument(
            help="First characters of a kept release's ID, or a service's name; default: the previous release.",
            autocompletion=complete_services,
        ),
    ] = None,
    host: HostName = None,
) -> None:
    """Roll a host back to a release that it keeps: files, images and environment, without network access. With a
    service's name, deploy that service's previous image alone."""
    from functools import partial

    from infra import delivery, hosts, outside

    if release_or_service and (catalogue := _with_service(stack, release_or_service)):
        from infra import deploying
        from infra.move.command import may_remove_lock

        say = partial(typer.echo, err=True)
        typer.echo(deploying.roll_back(catalogue, [release_or_service], host, say, may_remove_lock))
        return
    stack_model = stack_of(stack)
    targets = hosts.targets(stack_model, host)
    if len(targets) > 1:
        raise InfraError(f"name the host with --host: {', '.join(sorted(targets))}")
    (target,) = targets.values()
    look = partial(outside.complaint, target.address, stack_model.trustedRoots)
    deadline, say = stack_model.confirmDeadline, partial(typer.echo, err=True)
    outcome = delivery.go_back(target, release_or_service, deadline, look, say)
    typer.echo(outcome["line"])
    raise typer.Exit(outcome["code"])


@app.command()
def restore(
    host: Annotated[str, typer.Argument(help="A host that the stack created.", autocompletion=complete_hosts)],
    stack: StackName,
    snapshot: Annotated[
        str | None, typer.Option(help="Snapshot to restore from, such as snap-0a1b; default: the newest.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Only list the snapshots, newest first.")] = False,
) -> None:
    """Restore data directories (`data` in files/systems/) of a replaced host from a snapshot of its disk. Existing
    files stay as they are; after an interruption, run the same command again."""
    from infra import restore as restoring

    catalogue = catalogue_of(stack)
    if show:
        for entry in restoring.snapshots(catalogue, host):
            typer.echo(str(entry))
        return
    answer = restoring.restore(catalogue, host, snapshot, lambda line: typer.echo(f"  {line}", err=True))
    for line in restoring.lines(host, answer):
        typer.echo(line)


@app.command()
def prune(stack: StackName, host: HostName = None) -> None:
    """Remove the images on each host that no kept release needs and no container uses, and what was downloaded for
    environments of Python."""
    from infra import hosts, remote

    with gather_errors() as alone:
        for name, target in hosts.targets(stack_of(stack), host).items():
            with alone():
                typer.echo(f"{name}: freed up to {remote.ask(target, 'prune')['freed'] // 1024**2} MiB")
