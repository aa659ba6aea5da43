"""For a comment of a pull request: whatever the change, it fits; what matters least folds into counts first."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from infra.foreign import one_line, visible
from infra.preview.formats import words
from infra.preview.hosts import FileChange, HostChange
from infra.preview.report import Report, StackReport

LIMIT = 65_536  # characters of a comment at GitHub
MARK = "<!-- infra preview {stack} -->"
ROOM = 200  # of them for what its poster adds
STEPS = 60  # lines of steps before they fold into counts
PATH = 300  # characters of a path
LEAST = 240  # characters that say what was folded


@dataclass(frozen=True)
class Section:
    """A piece of a comment: `text`, or `folded` where there is no room; the higher `weight`, the longer it stays."""

    text: str
    folded: str = ""
    weight: int = 1000


def comment(stack: StackReport, report: Report, limit: int = LIMIT - ROOM) -> str:
    """One stack's comment, of at most `limit` characters."""
    sections = [replace(part, text=quiet(part.text), folded=quiet(part.folded)) for part in _sections(stack, report)]
    folded: set[int] = set()
    order = sorted(range(len(sections)), key=lambda index: (sections[index].weight, -len(sections[index].text)))
    total = sum(len(section.text) for section in sections)
    for index in order:
        if total <= limit - LEAST:
            break
        section = sections[index]
        if section.weight < 1000 and len(section.folded) < len(section.text):
            total -= len(section.text) - len(section.folded)
            folded.add(index)
    text = "".join(section.folded if index in folded else section.text for index, section in enumerate(sections))
    if folded:
        text += (
            f"\n{len(folded)} of {len(sections)} parts are only counted here, what matters least first: a comment "
            f"holds {limit} characters. All of it: `infra preview --stack {stack.stack} --whole`\n"
        )
    return text if len(text) <= limit else f"{text[: limit - LEAST]}\n\n… cut at {limit} characters\n"


def whole(report: Report) -> str:
    """All stacks, one after the other."""
    return "\n".join(comment(stack, report) for stack in report.stacks)


def _sections(stack: StackReport, report: Report) -> Iterator[Section]:
    sign = "⛔" if stack.is_refused else "✅" if stack.is_empty else "🔶"
    yield Section(f"{MARK.format(stack=stack.stack)}\n### {sign} {stack.stack}: {inline(stack.verdict)}\n\n")
    yield Section(f"<sub>{inline(words.heading(report))}: {inline(words.source(stack))}</sub>\n\n")
    if stack.error:
        text = f"```\n{fenced(stack.error)}\n```\n"
        yield Section(text, f"```\n{fenced(stack.error)[:2000]}\n…\n```\n", 900)
        return
    for finding in stack.findings:
        yield Section(f"- **policy** {inline(str(finding))}\n", weight=950)
    for line in [*stack.problems, *stack.hosts_say]:
        yield Section(f"- {inline(line)}\n", weight=900)
    yield from _cloud(stack)
    for host in stack.changed_hosts:
        yield from _host(host)
    yield Section(f"\n{inline(words.cost(stack.cost))}\n\nplan `{stack.fingerprint}`\n")


def _cloud(stack: StackReport) -> Iterator[Section]:
    if stack.phases:
        yield Section(f"\n**The {'move' if stack.moves else 'replacement'}**\n\n")
        for number, line in enumerate(words.phase_lines(stack), 1):
            yield Section(f"{number}. {inline(line)}\n", weight=950)
    if not stack.steps:
        return
    opened = " open" if len(stack.steps) <= 10 and not stack.phases else ""
    title = f"\n<details{opened}><summary>Cloud: {words.counts(stack.steps)}"
    lines = [(step, f"- {inline(words.step_line(step))}{_noted(words.step_note(step))}\n") for step in stack.steps]
    yield Section(f"{title}</summary>\n\n")
    for number, (step, line) in enumerate(lines):
        yield Section(line, "", 990 if step.danger else 500 if number < STEPS else 300)
    yield Section("\n</details>\n")


def _noted(note: str) -> str:
    return f": **{inline(note)}**" if note else ""


def _host(host: HostChange) -> Iterator[Section]:
    yield Section(f"\n**Host {host.host}**: {words.host_line(host)}\n\n")
    if host.effects:
        yield Section("| service | what happens | interruption |\n|---|---|---|\n")
    for effect in host.effects:
        yield Section(f"| {inline(effect.service)} | {effect.how} | {effect.gap} |\n", "", 800)
    for line in words.facts_of(host):
        yield Section(f"- {inline(line)}\n", "", 850)
    for file in host.files:
        yield _file(host, file)


def _file(host: HostChange, file: FileChange) -> Section:
    summary = f"<code>{_html(file.path)}</code> {file.how} +{file.added} −{file.removed} {file.meta}".rstrip()
    body = visible("\n".join(file.diff))
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    opened = " open" if len(file.diff) <= 25 and file.how == "changed" else ""
    text = f"<details{opened}><summary>{summary}</summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>\n"
    # What is wholly new or gone says less line by line than a change does
    weight = 400 if host.how == "changed" and file.how == "changed" else 200 if host.how == "changed" else 100
    return Section(text, f"- `{_short(file.path)}` {file.how} +{file.added} −{file.removed}\n", weight)


def _short(path: str) -> str:
    """A path on one line: a host says which paths it has, and how long they are."""
    line = one_line(path).replace("`", "'")
    return line if len(line) <= PATH else f"{line[:PATH]}…"


def _html(path: str) -> str:
    return html.escape(_short(path), quote=False)


def inline(text: str) -> str:
    """Text on one line, in which nothing is markup."""
    text = visible(text)
    for character in "\\*[]<>|`":
        text = text.replace(character, f"\\{character}")
    return text.replace("&#", "&amp;#").replace("\n", " ")


def quiet(text: str) -> str:
    """Text that mentions no account, written out or as an entity; the @@ of a diff stays as it is."""
    text = re.sub(r"&(?=#\w+;|commat;)", "&amp;", text)
    return re.sub(r"@(?!sha256:)(?=[A-Za-z0-9])", "@\u200b", text)


def fenced(text: str) -> str:
    return visible(text).replace("```", "'''")
