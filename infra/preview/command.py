"""`infra preview`: both commits, every stack, one report, in the format that is asked for."""

import io
import sys
from pathlib import Path

from rich.console import Console

from agent.wording import phrase
from catalogue.stack import stack_names
from infra.errors import InfraError
from infra.paths import config_file, project_root
from infra.preview import commits, compare
from infra.preview.formats import as_json, markdown, page, terminal
from infra.preview.report import Report, StackReport
from infra.writing import put

FORMATS = ("terminal", "markdown", "json", "html")


def build_report(base: str, stacks: list[str], mocks: bool = False) -> Report:
    """The report of the working tree: against the truth for each stack that can be asked, else (or with `mocks`)
    against a commit, without AWS. Raises InfraError."""
    root = project_root()
    there = stack_names(root)
    if unknown := [name for name in stacks if name not in there and config_file(name) is None]:
        raise InfraError(f"no stack {', '.join(unknown)}; stacks: {', '.join(there)}")
    names = stacks or there
    reports = {} if mocks else _live_reports(names)
    rest = [name for name in names if name not in reports]
    commit = commits.resolve(base) if rest else ""
    if rest:
        with commits.checkout(commit) as before:
            pairs = commits.snapshots(before, root, rest)
        reports |= {name: compare.compare_snapshots(pair) for name, pair in pairs.items()}
    return Report(commit or phrase("deployed now"), commits.describe_worktree(), [reports[name] for name in names])


def _live_reports(names: list[str]) -> dict[str, StackReport]:
    """The stacks that can be asked themselves."""
    # What talks to AWS and to hosts takes long to load, and a preview without them does not need it
    from infra.preview import live

    return {name: live.report(name) for name in names if live.is_possible(name)}


def write(report: Report, format: str, out: Path | None, whole: bool) -> None:
    """To a file, or to standard output."""
    if format == "terminal":
        if out is None:
            terminal.show(report, Console(soft_wrap=True), whole)
            return
        text = io.StringIO()
        terminal.show(report, Console(file=text, soft_wrap=True), whole)
        put(out, text.getvalue())
        return
    text = {"markdown": markdown.whole, "json": as_json.text, "html": page.text}[format](report)
    if out is None:
        sys.stdout.write(f"{text}\n")
    else:
        put(out, f"{text}\n")


def write_fingerprints(report: Report, out: Path) -> None:
    """A line `STACK FINGERPRINT` for each stack that has one: what a host or a pull request says is not in it."""
    put(out, "".join(f"{stack.stack} {stack.fingerprint}\n" for stack in report.stacks if stack.fingerprint))
