"""`infra move`: preflight, plan, confirmation, move, report."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import typer

from agent.quoting import count
from catalogue.loading import Catalogue
from catalogue.problems import errors
from infra.errors import InfraError
from infra.move import attempts, facts, findings, report, run
from infra.move.attempts import Attempts
from infra.move.phases import Phase
from infra.move.progress import Progress
from infra.move.run import Standing
from infra.paths import config_file, project_root
from infra.writing import put


def preflight(catalogue: Catalogue, region: str) -> bool:
    """Says all that is in the way, and all there is to know; True when nothing is in the way."""
    region_facts = facts.gather(catalogue, region)
    problems = findings.findings(catalogue, region, region_facts)
    for problem in problems:
        typer.echo(str(problem))
    for name, milliseconds in region_facts.latency.items() if region != catalogue.stack.region else ():
        typer.echo(f"from here to {name}: {'no answer' if milliseconds is None else f'{milliseconds} ms'}")
    typer.echo(findings.cost(catalogue, region, region_facts))
    stopping = len(errors(problems))
    if fine := findings.fine(catalogue, region, region_facts):
        typer.echo(f"no findings: {', '.join(fine)}")
    typer.echo(f"{count(stopping, 'error')}, {count(len(problems) - stopping, 'warning')}")
    return not stopping


def check(catalogue: Catalogue, region: str) -> None:
    if region == catalogue.stack.region:
        raise InfraError(f"stack {catalogue.stack.name} is already in {region}")
    if not preflight(catalogue, region):
        raise typer.Exit(2)


def move(catalogue: Catalogue, region: str, keep: bool, yes: bool, report_path: Path | None) -> None:
    """The whole of it. Raises InfraError where it stopped; run again, it continues."""
    name = catalogue.stack.name
    now = run.standing(catalogue)
    standby = run.standby_after(now, region, keep)
    where(now, name, region)
    run.settle(name, lambda line: typer.echo(line), may_remove_lock)
    is_new = now.serving != region and not now.is_under_way and region not in now.standby
    if is_new and not preflight(catalogue, region):
        raise typer.Exit(2)
    so_far = (attempts.read_attempts(name, region) if now.is_under_way else None) or Attempts(
        time.time(), run.latencies(catalogue)
    )
    there = now.serving == now.target == region and sorted(standby) == sorted(now.standby)

    def question(planned: list[Phase]) -> str:
        if there and not any(phase.step == "retire" for phase in planned):
            raise InfraError(
                f"stack {name} already serves from {region}, and its standby regions are as you ask: nothing to do"
            )
        return ask_for(planned)

    planned = agree(name, run.in_region(region, standby), question, yes)
    so_far = carry_out(name, region, planned, so_far, lambda progress: stop_lines(progress, now, name, region, keep))
    for other in (region, now.target):
        attempts.forget(name, other)
    if now.serving == region and now.is_under_way:
        # A move was given up: nothing moved that a report could be about
        typer.echo(f"\nstack {name} still serves from {region}{_beside(standby)}")
        return
    target = put_report(run.report_of(catalogue, now.serving, region, so_far), so_far, report_path)
    typer.echo(f"\nstack {name} serves from {region}{_beside(standby)}; the report: {target}")


def ask_for(planned: list[Phase]) -> str:
    """The question before an update, which names what it deletes."""
    deletions = [name for phase in planned for name in phase.deletions]
    return f"Apply these steps, and delete {', '.join(deletions)} at the end?" if deletions else "Apply these steps?"


def agree(name: str, change: run.Change, question: Callable[[list[Phase]], str], yes: bool) -> list[Phase]:
    """Shows the steps of an update with a changed configuration, asks what their `question` is, and puts that
    configuration in its place. Raises InfraError."""
    before = (config_file(name) or project_root() / f"Pulumi.{name}.yaml").read_bytes()
    with run.copy_configuration(name, change) as file:
        typer.echo("\nplanning …")
        planned = run.preview_phases(name, file)
        prompt = question(planned)
        typer.echo("\n".join(run.plan_lines(planned)) or "nothing to do")
        # Where nothing to do, the configuration alone is put right
        if planned and not yes and not typer.confirm(f"\n{prompt}"):
            raise InfraError("nothing was touched")
        adopt_configuration(file, before, config_file(name) or project_root() / f"Pulumi.{name}.yaml")
    return planned


def carry_out(
    name: str, mark: str, planned: list[Phase], so_far: Attempts, why: Callable[[Progress], list[str]]
) -> Attempts:
    """Runs the update, and keeps under `mark` what it did, for the run that goes on. Raises InfraError with the lines
    of `why` where it stopped."""
    # If this ends here, the next run knows how it was before
    attempts.keep(name, mark, so_far)
    began = time.time()
    progress = run.up(name, planned, lambda line: typer.echo(line), may_remove_lock)
    so_far = so_far.and_then(run.finished_steps(progress), time.time() - began, progress.gaps)
    if progress.reasons:
        attempts.keep(name, mark, so_far)
        raise InfraError("\n  ".join(why(progress)))
    return so_far


def put_report(move_report: report.Report, so_far: Attempts, report_path: Path | None) -> Path:
    """Where it was put."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(so_far.began))
    target = report_path or project_root() / f"move-{move_report.stack}-{stamp}.md"
    put(target, report.markdown(move_report))
    return target


def adopt_configuration(changed: Path, before: bytes, real: Path) -> None:
    """Puts the changed copy of a configuration in its place. Raises InfraError where it was changed since."""
    if not real.exists() or real.read_bytes() != before:
        raise InfraError(f"nothing was touched: {real.name} was changed meanwhile; check it, and run this again")
    put(real, changed.read_bytes())


def may_remove_lock(question: str) -> bool:
    """Asks a person; without one, nothing is certain, and the lock stays."""
    return sys.stdin.isatty() and typer.confirm(f"{question}. Are you certain that it is not running? Remove the lock")


def _beside(standby: list[str]) -> str:
    return f", {', '.join(standby)} stands by" if standby else ""


def stop_lines(progress: Progress, now: Standing, name: str, region: str, keep: bool) -> list[str]:
    """Why, what serves, how to go on, and how to give it up where that can be done."""
    went = {step for step, _ in progress.times}
    lines = [progress.reasons[0].strip()]
    lines.append(f"{region} serves" if "retire" in went else "Nothing that was serving was deleted.")
    lines.append(f"Continue: uv run infra move {region} {'--keep' if keep else '--retire'} --stack {name}")
    if now.serving != region and "retire" not in went:
        back = "--keep" if now.standby else "--retire"
        lines.append(f"Cancel: uv run infra move {now.serving} {back} --stack {name}")
    return lines


def where(now: Standing, name: str, region: str) -> None:
    """Where the stack serves and stands by, in a line or two."""
    if not now.serving:
        raise InfraError(
            f"stack {name} is not deployed anywhere yet: to create it in {region}, run pulumi config set aws:region "
            f"{region} and pulumi up"
        )
    standby = f", and stands by in {', '.join(now.standby)}" if now.standby else ""
    if now.is_under_way:
        typer.echo(f"stack {name} last served from {now.serving}{standby}")
        how = "it is cancelled" if region == now.serving else "it continues"
        typer.echo(f"an unfinished move to {now.target}: {how}")
    else:
        typer.echo(f"stack {name} serves from {now.serving}{standby}")
