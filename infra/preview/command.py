"""`infra preview`: both commits, every stack, one report, in the format that is asked for."""

import sys
from pathlib import Path

from rich.console import Console

from infra.errors import InfraError
from infra.paths import project_root
from infra.preview import commits, compare
from infra.preview.formats import as_json, markdown, page, terminal
from infra.preview.report import Report

FORMATS = ("terminal", "markdown", "json", "html")


def made(base: str, wanted: list[str]) -> Report:
    """The report of the working tree against a commit, without AWS. Raises InfraError."""
    root = project_root()
    commit = commits.resolved(base)
    there = commits.stacks(root)
    if unknown := [name for name in wanted if name not in there]:
        raise InfraError(f"no stack {', '.join(unknown)}; stacks: {', '.join(there)}")
    with commits.checkout(commit) as before:
        found = commits.snapshots(before, root, wanted or there)
    stacks = [compare.compared(pair["base"], pair["head"]) for pair in found.values()]
    return Report(commit, commits.described(), "mocks", stacks)


def write(report: Report, format: str, out: Path | None, whole: bool) -> None:
    """To a file, or to standard output."""
    if format == "terminal":
        if out is None:
            terminal.show(report, Console(soft_wrap=True), whole)
            return
        with out.open("w") as file:
            terminal.show(report, Console(file=file, soft_wrap=True), whole)
        return
    text = {"markdown": markdown.whole, "json": as_json.text, "html": page.text}[format](report)
    if out is None:
        sys.stdout.write(f"{text}\n")
    else:
        out.write_text(f"{text}\n")
