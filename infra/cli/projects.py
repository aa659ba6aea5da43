"""Projects: made for a product of one's own, and brought to a later version of the program."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from infra.cli import app
from infra.errors import InfraError
from infra.paths import project_root

ASKED = {
    "zone": "Domain of its public names (a Route 53 zone)",
    "account": "AWS account (12 digits)",
    "email": "Address for alarms and certificates",
    "cidr": "Network that may use SSH (such as 198.51.100.7/32)",
}


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's directory, which does not exist yet.")],
    system: Annotated[str, typer.Option(help="Name of the system; default: that of the directory.")] = "",
    region: Annotated[str, typer.Option(help="AWS region.")] = "ap-northeast-1",
    zone: Annotated[str | None, typer.Option(help=f"{ASKED['zone']}.")] = None,
    account: Annotated[str | None, typer.Option(help=f"{ASKED['account']}.")] = None,
    email: Annotated[str | None, typer.Option(help=f"{ASKED['email']}.")] = None,
    cidr: Annotated[str | None, typer.Option(help=f"{ASKED['cidr']}.")] = None,
    compose: Annotated[Path | None, typer.Option(help="A compose file to run instead of the example.")] = None,
) -> None:
    """Make a project for a product of your own: the program, one example, stacks, workflows. Missing options are
    asked for in a terminal; a question without an answer becomes a TODO line, which `infra check` reports."""
    from infra.project.new import Answers, check_answer, create, name_of

    options = {"zone": zone, "account": account, "email": email, "cidr": cidr}
    for question, answer in options.items():
        if answer is None:
            options[question] = _ask(question, check_answer) if sys.stdin.isatty() and sys.stderr.isatty() else ""
    texts = {name: answer or "" for name, answer in options.items()}
    answers = Answers(system or name_of(folder), region, **texts, compose=compose)
    program, uncommitted = create(folder, answers)
    typer.echo(f"created {folder} for {answers.system}, with version {program.name} of the program")
    if uncommitted:
        typer.echo(f"not committed yet ({uncommitted}): commit it with git, since previews compare with a commit")
    typer.echo(f"next: cd {folder}, read README.md; the services are defined in files/systems/{answers.system}.yaml")
    if compose:
        typer.echo("infra check --stack prod lists what the compose file does not define")


def _ask(question: str, checked: Callable[[str, str], str]) -> str:
    """An answer that can be one, or "" for none yet."""
    while True:
        answer = typer.prompt(
            f"{ASKED[question]}, or Enter for later", default="", show_default=False, err=True
        ).strip()
        try:
            return checked(question, answer) if answer else ""
        except InfraError as error:
            typer.echo(str(error), err=True)


@app.command()
def include(
    system: Annotated[str, typer.Argument(help="Name of the system, as of its file.")],
    source: Annotated[str, typer.Argument(help="Source: a directory or a git URL; default: the earlier source.")] = "",
    version: Annotated[str, typer.Option(help="Tag, branch or commit; default: the last one used.")] = "",
    folder: Annotated[
        str | None, typer.Option(help="Folder of the source with SYSTEM.yaml and static/SYSTEM/.")
    ] = None,
    theirs: Annotated[bool, typer.Option("--theirs", help="Replace local edits.")] = False,
) -> None:
    """Include a system from its own repository, or a later version of it: its file and its static files. The commit
    is recorded in files/systems/.included.json. No host changes before the next `pulumi up`."""
    from infra.project import inclusions

    root = project_root()
    inclusion = inclusions.plan_inclusion(root, system, inclusions.Request(source, version, folder), theirs)
    inclusions.apply(root, inclusion)
    typer.echo(inclusion.line)
    if not inclusion.origin.commit:
        typer.echo(
            "no commit is recorded: the source is no git repository, or has uncommitted changes. To pin one, commit "
            "there and run this again"
        )
    if inclusion.changes:
        typer.echo("next: infra check, infra preview, then commit")


@app.command()
def upgrade(
    source: Annotated[str, typer.Argument(help="Source of the later version: a directory or a git URL.")],
    version: Annotated[str, typer.Option(help="Tag, branch or commit of the source.")] = "",
    base: Annotated[str, typer.Option(help="For a fork: the tag or commit of the program that it was made from.")] = "",
    keep: Annotated[list[str] | None, typer.Option(help="Keep the local version of a file in conflict.")] = None,
    take: Annotated[list[str] | None, typer.Option(help="Take the program's version of a file in conflict.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Replace the program's files in this project by a later version's. Your own files are not touched; your edits
    of the program's files are merged or reported as conflicts. No host changes before the next `pulumi up`."""
    from infra.project import upgrade as upgrading
    from infra.project.program import program_from

    root = project_root()
    if Path(source).resolve() == root.resolve() and not version:
        raise InfraError(f"{source} is this project: name a checkout of the later version")
    before = upgrading.record_of(root, program_from(source, base, "--base") if base else None)
    program = program_from(source, version, "--version")
    with upgrading.alone(root):
        plan = upgrading.plan(root, before, program, frozenset(keep or []), frozenset(take or []))
        for line in upgrading.describe(plan):
            typer.echo(line)
        if plan.is_empty:
            typer.echo(f"nothing to do: this project has version {program.name}")
            return
        upgrading.refuse_conflicts(plan)
        upgrading.refuse_unsaved(root, plan)
        if not yes and not typer.confirm("Replace them?", err=True):
            raise InfraError("nothing was changed")
        upgrading.apply(root, plan)
    if base:
        typer.echo(
            "a fork keeps files outside the program (tests/, benchmarks/, .ci/): remove them, or merge the program's"
        )
    typer.echo(f"this project has version {program.name}: git status shows it. Next: make environment check")
    typer.echo("and infra preview --base HEAD, which shows what changes on hosts")
