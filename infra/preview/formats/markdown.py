"""For a comment of a pull request: whatever the change, it fits; what matters least folds into counts first."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from agent import times
from agent.wording import Speaker
from infra.foreign import one_line, visible
from infra.preview import japanese
from infra.preview.files import FileChange
from infra.preview.formats import words
from infra.preview.hosts import HostChange
from infra.preview.report import Report, StackReport

LIMIT = 65_536  # characters of a comment at GitHub
MARK = "<!-- infra preview {stack} -->"
ROOM = 200  # of them for what its poster adds
STEPS = 60  # lines of steps before they fold into counts
PATH = 300  # characters of a path
LEAST = 240  # characters that say what was folded
HEAD = ("service", "effect", "interruption")
TABLES = {"en": {}, "ja": japanese.TEXTS}


@dataclass(frozen=True)
class Section:
    """A piece of a comment: `text`, or `folded` where there is no room; the higher `weight`, the longer it stays."""

    text: str
    folded: str = ""
    weight: int = 1000


def speaker(language: str) -> Speaker:
    """What is said in a comment, in the language of a stack's owners."""
    return Speaker(TABLES.get(language, {}))


def comment(stack: StackReport, report: Report, limit: int = LIMIT - ROOM) -> str:
    """One stack's comment, of at most `limit` characters."""
    say = speaker(stack.language)
    sections = [
        replace(part, text=quiet(part.text), folded=quiet(part.folded)) for part in _sections(stack, report, say)
    ]
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
        text += "\n" + say(
            "{folded} of {all} sections, the least important ones, are shortened to a line: a comment holds {limit} "
            "characters. In full: `{command}`",
            folded=len(folded), all=len(sections), limit=limit, command=f"infra preview --stack {stack.stack} --whole",
        ) + "\n"  # fmt: skip
    cut = say("… cut at {limit} characters", limit=limit)
    return text if len(text) <= limit else f"{text[: limit - LEAST]}\n\n{cut}\n"


def whole(report: Report) -> str:
    """All stacks, one after the other."""
    return "\n".join(comment(stack, report) for stack in report.stacks)


def _sections(stack: StackReport, report: Report, say: Speaker) -> Iterator[Section]:
    zone = times.zone_of(stack.timezone)
    sign = "⛔" if stack.is_refused else "✅" if stack.is_empty else "🔶"
    yield Section(f"{MARK.format(stack=stack.stack)}\n### {sign} {stack.stack}: {inline(stack.verdict_in(say))}\n\n")
    yield Section(f"<sub>{inline(words.heading(report, say))}: {inline(words.source(stack, say))}</sub>\n\n")
    if stack.error:
        error = escape_fences(times.in_text(stack.error, zone))
        yield Section(f"```\n{error}\n```\n", f"```\n{error[:2000]}\n…\n```\n", 900)
        return
    for finding in stack.findings:
        yield Section(f"- **{say('policy')}** {inline(str(finding))}\n", weight=950)
    for line in [*stack.problems, *stack.hosts_say]:
        yield Section(f"- {inline(times.in_text(say.of(line), zone))}\n", weight=900)
    yield from _cloud(stack, say)
    for host in stack.changed_hosts:
        yield from _host(host, say)
    for group in stack.groups:
        yield Section(f"\n**{say('Group {name}', name=group.leader)}**: {inline(words.group_line(group, say))}\n\n")
        for line in words.facts_of_group(group, say):
            yield Section(f"- {inline(line)}\n", "", 850)
    yield Section(f"\n{inline(words.cost(stack.cost, say))}\n\n{say('plan')} `{stack.fingerprint}`\n")


def _cloud(stack: StackReport, say: Speaker) -> Iterator[Section]:
    if stack.phases:
        yield Section(f"\n**{say('The move') if stack.moves else say('The replacement')}**\n\n")
        for number, line in enumerate(words.phase_lines(stack, say), 1):
            yield Section(f"{number}. {inline(line)}\n", weight=950)
    if not stack.steps:
        return
    opened = " open" if len(stack.steps) <= 10 and not stack.phases else ""
    title = f"\n<details{opened}><summary>{say('Cloud: {counts}', counts=words.counts(stack.steps, say))}"
    lines = [
        (step, f"- {inline(words.step_line(step, say))}{_note_suffix(words.step_note(step, say))}\n")
        for step in stack.steps
    ]
    yield Section(f"{title}</summary>\n\n")
    for number, (step, line) in enumerate(lines):
        yield Section(line, "", 990 if step.danger else 500 if number < STEPS else 300)
    yield Section("\n</details>\n")


def _note_suffix(note: str) -> str:
    return f": **{inline(note)}**" if note else ""


def _host(host: HostChange, say: Speaker) -> Iterator[Section]:
    yield Section(f"\n**{say('Host {name}', name=host.host)}**: {words.host_line(host, say)}\n\n")
    if host.effects:
        yield Section(f"| {' | '.join(map(say.word, HEAD))} |\n|---|---|---|\n")
    for effect in host.effects:
        yield Section(f"| {inline(effect.service)} | {say.word(effect.label)} | {say.word(effect.gap)} |\n", "", 800)
    for line in words.facts_of(host, say):
        yield Section(f"- {inline(line)}\n", "", 850)
    for file in host.files:
        yield _file(host, file, say)


def _file(host: HostChange, file: FileChange, say: Speaker) -> Section:
    counted = f"{say.word(file.how)} +{file.added_lines} −{file.removed_lines}"
    summary = f"<code>{_html(file.path)}</code> {counted} {say.of(file.meta)}".rstrip()
    body = visible("\n".join(map(say.of, file.diff)))
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    opened = " open" if len(file.diff) <= 25 and file.how == "changed" else ""
    text = f"<details{opened}><summary>{summary}</summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>\n"
    # What is wholly new or gone says less line by line than a change does
    weight = 400 if host.how == "changed" and file.how == "changed" else 200 if host.how == "changed" else 100
    return Section(text, f"- `{_short(file.path)}` {counted}\n", weight)


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


def escape_fences(text: str) -> str:
    return visible(text).replace("```", "'''")
