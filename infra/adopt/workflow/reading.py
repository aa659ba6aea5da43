"""A workflow of GitHub Actions: its jobs and steps with the lines that each stands on, so that all else can stay."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import yaml

from catalogue.shapes import is_list, is_mapping
from infra.errors import InfraError

# A job of a workflow, as GitHub reads it
JobFields = dict[str, Any]
# What YAML takes for the end of a line, and an editor does not
ODD_BREAKS = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


@dataclass(frozen=True)
class Extent:
    """Lines of the file from `start` up to and without `end`, those of the comments right above included; what is in
    them begins at `own`."""

    start: int
    own: int
    end: int


@dataclass(frozen=True)
class Step:
    value: Mapping[str, Any]
    extent: Extent
    # Variables that it sees, of which the value is written in the file
    variables: Mapping[str, str]

    @property
    def uses(self) -> str:
        return str(self.value.get("uses", "")).partition("@")[0]

    @property
    def script(self) -> str:
        """What it runs, a line of several joined."""
        return re.sub(r"[ \t]*\\\r?\n[ \t]*", " ", str(self.value.get("run", "")))

    @property
    def inputs(self) -> Mapping[str, Any]:
        own = self.value.get("with")
        return own if is_mapping(own) else {}

    @property
    def title(self) -> str:
        return str(self.value.get("name") or self.uses or (self.script.strip().splitlines() or ["?"])[0])

    def resolve(self, text: str) -> str:
        """The text with each variable whose value is written in the file; other expressions without their spaces."""
        for _ in range(3):
            text = EXPRESSION.sub(self._expression, text)
            text = VARIABLE.sub(lambda match: self.variables.get(match[1] or match[2], match[0]), text)
        return text

    def _expression(self, match: re.Match[str]) -> str:
        scope, _, name = match[1].partition(".")
        whole = "${{" + re.sub(r"\s+", "", match[1]) + "}}"
        return self.variables.get(name, whole) if scope == "env" else whole


@dataclass(frozen=True)
class Job:
    id: str
    value: Mapping[str, Any]
    extent: Extent
    steps: Sequence[Step]
    # The column of its keys, where the lines of `needs` are, and its value
    column: int
    needs: tuple[Extent, list[str]] | None

    @property
    def prerequisites(self) -> list[str]:
        return self.needs[1] if self.needs else []


@dataclass(frozen=True)
class Workflow:
    """`file` is its name as messages name it; `lines` are without their ends."""

    file: str
    text: str
    lines: Sequence[str]
    value: Mapping[str, Any]
    jobs: Sequence[Job] = field(default_factory=list[Job])

    @property
    def column(self) -> int:
        """That of the jobs' names."""
        return len(self.lines[self.jobs[0].extent.own]) - len(self.lines[self.jobs[0].extent.own].lstrip(" "))


def read_workflow(file: str, text: str) -> Workflow:
    """Raises InfraError for what is no workflow, or is written so that its lines are not clear."""
    if ODD_BREAKS.search(text):
        raise InfraError(f"{file}: it has line ends that editors and YAML count differently: save it with plain ones")
    try:
        root, value = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise InfraError(
            f"{file}{where}: is no YAML: {getattr(error, 'problem', None) or 'it cannot be read'}"
        ) from None
    jobs = value.get("jobs") if is_mapping(value) else None
    if not is_mapping(jobs) or not jobs or not all(is_mapping(job) for job in jobs.values()):
        raise InfraError(f"{file}: is no workflow of GitHub Actions: it has no jobs")
    lines = text.split("\n")
    node = dict(_pairs(root))["jobs"]
    keys = [(key, inner) for key, inner in node.value if isinstance(inner, yaml.MappingNode)]
    if node.flow_style or any(inner.flow_style for _, inner in keys) or len(keys) != len(jobs):
        raise _unclear(file)
    extents = _extents(lines, [(key.start_mark.line, key.start_mark.column, inner) for key, inner in keys])
    shared = _literals(value)
    own_jobs = [
        _job(file, lines, (key.value, jobs[key.value], inner, extent), shared)
        for (key, inner), extent in zip(keys, extents, strict=True)
    ]
    return Workflow(file, text, lines, value, own_jobs)


def _unclear(file: str) -> InfraError:
    return InfraError(
        f"{file}: jobs or steps are written in one line ({{…}}, […]) or by anchors: write each on lines of its own"
    )


def _job(file: str, lines: Sequence[str], job: tuple[str, Any, Any, Extent], shared: Mapping[str, str]) -> Job:
    name, value, node, extent = job
    parts = dict(_pairs(node))
    steps = parts.get("steps")
    values = value.get("steps")
    extents: list[Extent] = []
    if steps is None and values is not None:
        # They come by a merge key, `<<`
        raise _unclear(file)
    if steps is not None:
        if not isinstance(steps, yaml.SequenceNode) or steps.flow_style or not is_list(values):
            raise _unclear(file)
        starts: list[tuple[int, int, Any]] = []
        for item in steps.value:
            line = int(item.start_mark.line)
            dash = lines[line][: item.start_mark.column].rfind("-")
            if not isinstance(item, yaml.MappingNode) or item.flow_style or dash < 0:
                raise _unclear(file)
            starts.append((line, dash, item))
        extents = _extents(lines, starts)
    variables = {**shared, **_literals(value)}
    job_steps = [
        Step(entry, own, {**variables, **_literals(entry)}) for entry, own in zip(values or [], extents, strict=True)
    ]
    needs = None
    if "needs" in parts:
        (own,) = _extents(lines, [(parts["needs"].start_mark.line, 0, parts["needs"])])
        (key,) = [key for key, _ in node.value if key.value == "needs"]
        prerequisites = value["needs"]
        extent_of_needs = Extent(key.start_mark.line, key.start_mark.line, own.end)
        items = prerequisites if is_list(prerequisites) else [prerequisites]
        needs = (extent_of_needs, [str(other) for other in items])
    return Job(name, value, extent, job_steps, node.start_mark.column, needs)


def _extents(lines: Sequence[str], items: Sequence[tuple[int, int, Any]]) -> list[Extent]:
    """Of items in their order, each by its first line, its column and its node."""
    extents: list[Extent] = []
    floor = 0
    for line, column, node in items:
        start = line
        while start > floor and _is_comment_at(lines[start - 1], column):
            start -= 1
        end = max([*_ends(node), line + 1])
        while end > line + 1 and not lines[end - 1].strip():
            end -= 1
        extents.append(Extent(start, line, end))
        floor = end
    return extents


def _is_comment_at(line: str, column: int) -> bool:
    """A comment of that level: deeper ones can be a script's own."""
    return line.lstrip().startswith("#") and len(line) - len(line.lstrip()) <= column


def _ends(node: Any) -> Iterator[int]:
    if isinstance(node, yaml.ScalarNode):
        yield node.end_mark.line + (1 if node.end_mark.column else 0)
    elif node.flow_style:
        yield node.end_mark.line + 1
    else:
        parts: Iterable[Any] = chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
        for part in parts:
            yield from _ends(part)


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))


def _literals(value: Any) -> dict[str, str]:
    """Variables whose value stands there; an expression is none, but for one of `env`, which is another variable."""
    env = value.get("env") if is_mapping(value) else None
    if not is_mapping(env):
        return {}
    plain = {str(name): str(text) for name, text in env.items() if isinstance(text, str | int | float)}
    return {name: text for name, text in plain.items() if all(m.startswith("env.") for m in EXPRESSION.findall(text))}
