"""For people at a terminal: coloured, long diffs folded."""

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from agent import times
from infra.foreign import one_line, visible
from infra.preview.files import FileChange
from infra.preview.formats import words
from infra.preview.hosts import HostChange
from infra.preview.report import Report, StackReport

FOLDED = 30  # lines of a diff that are shown, unless all are asked for
COLOURS = {"+": "green", "-": "red", "@": "cyan"}
OPS = {"create": "green", "update": "yellow", "replace": "bold red", "delete": "red"}


def plain(text: str) -> str:
    """Text of a host or of a file: no markup, and no order to a terminal."""
    return escape(one_line(text))


def show(report: Report, console: Console, whole: bool = False) -> None:
    """Prints it; `whole` folds nothing."""
    console.print(plain(words.heading(report)), style="dim", soft_wrap=True)
    for stack in report.stacks:
        _stack(stack, console, whole)


def _stack(stack: StackReport, console: Console, whole: bool) -> None:
    style = "bold red" if stack.is_refused else "bold green" if stack.is_empty else "bold"
    console.print(f"\n{plain(stack.stack)}: {plain(stack.verdict)}", style=style, soft_wrap=True)
    if stack.error:
        console.print(escape(visible(times.in_text(stack.error))), soft_wrap=True)
        return
    console.print(f"  {words.source(stack)}", style="dim", soft_wrap=True)
    for finding in stack.findings:
        console.print(
            f"  policy {plain(str(finding))}", style="red" if finding.level == "error" else "yellow", soft_wrap=True
        )
    for line in [*stack.problems, *stack.hosts_say]:
        console.print(f"  {escape(visible(times.in_text(line)))}", style="yellow", soft_wrap=True)
    for number, line in enumerate(words.phase_lines(stack), 1):
        console.print(f"  {number:2}. {plain(line)}", soft_wrap=True)
    if not stack.phases or whole:
        for step in stack.steps:
            note = words.step_note(step)
            console.print(
                f"  [{OPS[step.op]}]{plain(words.step_line(step))}[/]" + (f": {plain(note)}" if note else ""),
                soft_wrap=True,
            )
    for host in stack.changed_hosts:
        _host(host, console, whole)
    for group in stack.groups:
        title = f"\n  group {plain(group.leader)}: {plain(words.group_line(group))}"
        console.print(title, style="bold", soft_wrap=True)
        for line in words.facts_of_group(group):
            console.print(f"    {plain(line)}", soft_wrap=True)
    console.print(f"  {plain(words.cost(stack.cost))}", soft_wrap=True)
    console.print(f"  plan {stack.fingerprint}", style="dim", soft_wrap=True)


def _host(host: HostChange, console: Console, whole: bool) -> None:
    console.print(f"\n  host {plain(host.host)}: {plain(words.host_line(host))}", style="bold", soft_wrap=True)
    for effect in host.effects:
        console.print(
            f"    {plain(effect.service)} {plain(effect.label)}; interruption: {plain(effect.gap)}", soft_wrap=True
        )
    for line in words.facts_of(host):
        console.print(f"    {plain(line)}", soft_wrap=True)
    for file in host.files:
        # What is wholly new or gone says less line by line than a change does
        room = (
            len(file.diff)
            if whole
            else 0
            if host.how != "changed"
            else FOLDED
            if file.how == "changed"
            else FOLDED // 3
        )
        _file(file, console, room)


def _file(file: FileChange, console: Console, room: int) -> None:
    meta = f" {file.meta}" if file.meta else ""
    counted = f"[green]+{file.added_lines}[/] [red]−{file.removed_lines}[/]"
    console.print(f"    {plain(file.path)} {file.how} {counted}{plain(meta)}", soft_wrap=True)
    lines = file.diff[:room]
    for line in lines:
        console.print(Text(f"      {one_line(line)}", COLOURS.get(line[:1], "dim")), soft_wrap=True)
    if remaining := len(file.diff) - len(lines):
        console.print(f"      … {remaining} lines more (--whole)", style="dim")
