"""`infra adopt host`: look, understand, compare, show. Nothing is changed, neither there nor in Pulumi's state."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from pydantic import TypeAdapter, ValidationError

from catalogue.checks import check
from catalogue.fields import Name
from catalogue.host import Host, SshHost
from catalogue.loading import SYSTEMS, Catalogue
from catalogue.problems import Problem
from catalogue.sizes import MiB
from infra.adopt.host import comparing, rivals, system_yaml, understanding
from infra.adopt.host.comparing import Comparison
from infra.adopt.host.documents import Facts
from infra.adopt.host.old_files import old_environment_files
from infra.adopt.host.reading import Connection, Machine, connect
from infra.adopt.host.remarks import Remark, lines
from infra.adopt.host.understanding import DerivedSystem
from infra.errors import InfraError
from infra.foreign import one_line, visible
from infra.writing import put

CANNOT_BE_SAID = "cannot be said, and is an error of infra check until it is answered (unresolved:)"
PLAIN_VALUES = "values of environment files that are no secrets by their form: look through them"
OLD_FILES = "environment files that no release reads: look whether anything else reads them"
VARIABLE, SERVICE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True)
class AdoptOptions:
    """What a person wants to see. `host` is the stack's host that it is, `system` what the system is to be called,
    `write` the file that the YAML goes into."""

    host: str | None
    system: str | None
    write: Path | None
    diff: bool


def parse_options(
    catalogue: Catalogue, host: str | None, system: str | None, write: Path | None, diff: bool
) -> AdoptOptions:
    """What is wrong with it is said before anything is asked of a host. Raises InfraError."""
    if host and host not in catalogue.stack.hosts:
        raise InfraError(f"--host {host}: stack {catalogue.stack.name} has {', '.join(catalogue.stack.hosts)}")
    if write and write.exists():
        raise InfraError(f"{write} already exists: name another file, and compare the two")
    # A system is called as its file
    name = system or (write.stem if write else None)
    try:
        TypeAdapter(Name | None).validate_python(name)
    except ValidationError:
        source = f"--system {name}" if system else f"--write {write}: a system is called as its file, and {name}"
        allowed = "a-z, 0-9, _, . and -, and begins with a letter or digit"
        raise InfraError(f"{source} is no name of a system, which is of {allowed}: --system NAME") from None
    return AdoptOptions(host, name, write, diff)


@dataclass(frozen=True)
class Survey:
    """What a host runs, the system that follows from it, and what its release would change there."""

    facts: Facts
    derived: DerivedSystem
    catalogue: Catalogue
    host: str
    comparison: Comparison
    stack_problems: Sequence[Problem] = ()
    login: str = "ssh OWNER@HOST"
    old_files: Sequence[str] = ()


def adopt(catalogue: Catalogue, machine: Machine, options: AdoptOptions) -> None:
    """Raises InfraError."""
    with connect(machine, lambda step: typer.echo(f"reading {step} …", err=True)) as host:
        survey = look(catalogue, host, machine, options)
    head = [f"Read off {machine.address} by `infra adopt host`; what it printed says which parts are guesses."]
    text = system_yaml.yaml_of(survey.derived.system, head)
    if options.write:
        put(options.write, text)
        typer.echo(f"written: {options.write}")
    else:
        typer.echo(visible(text))
    for line in report_lines(survey, options.diff):
        typer.echo(visible(line))
    if unanswered := dict.fromkeys(r for r in survey.derived.remarks if r.kind == "cannot be said"):
        raise InfraError(
            f"{len(unanswered)} settings of {machine.address} cannot be said: each is a line under unresolved: in the "
            "YAML, and infra check refuses it until you answer it"
        )


def look(catalogue: Catalogue, host: Connection, machine: Machine, options: AdoptOptions) -> Survey:
    """Asks the host three times: what it runs, what that names, and what it has of what a release would bring. Raises
    InfraError."""
    facts = host.facts()
    if facts["adopted"]:
        raise InfraError(f"{machine.address} runs a release already: infra drift shows what was changed by hand")
    name = options.system or understanding.name_of(facts["hostname"])
    names, stat = understanding.wanted_paths(facts)
    entries = host.entries([], names, stat)
    derived = understanding.derive_system(facts, entries, catalogue.stack, name)
    own, spec = _host(catalogue, machine, facts, options.host)
    extended_catalogue = comparing.with_system(catalogue, derived.system, own, spec)
    files = comparing.render_release(extended_catalogue, own, facts)
    text, variables = comparing.wanted_paths(files)
    comparison = comparing.compare(files, facts, host.entries(text, variables, []))
    stack_problems = comparing.stack_problems(catalogue, derived.system, own, spec)
    old_files = old_environment_files(facts, derived.system, entries, variables)
    return Survey(facts, derived, extended_catalogue, own, comparison, stack_problems, _login(machine), old_files)


def _login(machine: Machine) -> str:
    port = f" -p {machine.port}" if machine.port != 22 else ""
    return f"ssh -i {shlex.quote(str(machine.identity))}{port} {shlex.quote(f'{machine.user}@{machine.address}')}"


def _host(catalogue: Catalogue, machine: Machine, facts: Facts, host_option: str | None) -> tuple[str, Host]:
    """Which of the stack's hosts the machine is: the one chosen, the one of this address, or one that it could be."""
    hosts = catalogue.stack.hosts
    there = [name for name, spec in hosts.items() if isinstance(spec, SshHost) and spec.address == machine.address]
    if host_name := host_option or next(iter(there), None):
        return host_name, hosts[host_name]
    memory = f"{max(1, facts['memory'] // MiB)}m"
    spec = SshHost(
        kind="ssh", address=machine.address, port=machine.port, user=machine.user, systems=[], memory=memory,
        # Its fingerprint is known, and no key has it: it has to be read off the host
        hostKey="ssh-ed25519 AAAA",
    )  # fmt: skip
    return understanding.name_of(facts["hostname"]), spec


def report_lines(survey: Survey, diff: bool) -> list[str]:
    """All that is said beside the YAML."""
    remarks, comparison = survey.derived.remarks, survey.comparison
    counted = {how: sum(change.how == how for change in comparison.changes) for how in ("same", "changed", "new")}
    parts = [
        (CANNOT_BE_SAID, lines(remarks, "cannot be said")),
        ("does not fit", lines(remarks, "does not fit")),
        ("would be gone", comparison.lost_settings),
        ("would have another value", comparison.other),
        ("not to be read off a host", lines(remarks, "not to be read off a host")),
        (PLAIN_VALUES, lines(remarks, "plain value")),
        ("secrets, whose values were not read", _secret_lines(survey)),
        ("infra check would say", _problems(survey)),
        (
            f"files of a release: {counted['same']} as they are, {counted['changed']} changed, {counted['new']} new",
            [line for change in comparison.changes if change.how != "same" for line in _change_lines(change, diff)],
        ),
        ("units that would start", comparison.starts),
        ("units that would restart", comparison.restarts),
        ("units that the release leaves alone", comparison.stays),
        (OLD_FILES, [*map(one_line, survey.old_files)]),
        ("in the way", comparison.twice),
        ("would fight a release: take out, or change", list(_rival_lines(survey.facts))),
    ]
    return [
        line for head, items in parts for line in (f"\n{head}: {'' if items else 'nothing'}".rstrip(), *_under(items))
    ]


def _rival_lines(facts: Facts) -> Iterator[str]:
    """Scripts, workflows and crontabs that would undo a release, and whether all were looked at."""
    for rival in facts.get("rivals", []):
        if rival["why"] in rivals.WAYS:
            yield one_line(f"{rival['path']}:{rival['line']}: {rival['why']}: {rival['text']}")
    if bound := facts.get("search_ended", ""):
        yield f"the search ended at its bound of {one_line(bound)}: look through the other scripts yourself"


def _under(items: list[str]) -> list[str]:
    return [f"  {line}" for line in items]


def _secret_lines(survey: Survey) -> list[str]:
    """What sets the secrets: a command for each environment file that they are in, and one for each of the others."""
    lines_of_others: list[str] = []
    names_by_file: dict[tuple[str, str], list[str]] = {}
    for remark in survey.derived.remarks:
        is_named = VARIABLE.fullmatch(remark.text) and SERVICE.fullmatch(remark.where)
        if remark.kind == "secret" and remark.source and is_named and one_line(remark.source) == remark.source:
            names_by_file.setdefault((remark.where, remark.source), []).append(remark.text)
        elif remark.kind == "secret":
            lines_of_others.append(_secret_line(remark))
    stack = survey.catalogue.stack.name
    of_files = [
        f"{survey.login} sudo cat {shlex.quote(shlex.quote(path))} | infra secret import - {service} --stack {stack}"
        f"   # {', '.join(names)}"
        for (service, path), names in names_by_file.items()
    ]
    return [*of_files, *lines_of_others]


def _secret_line(remark: Remark) -> str:
    """What sets a secret; where the name is none that a variable can have, what was found in its place: a host chooses
    the text, and no command is made of it."""
    if not VARIABLE.fullmatch(remark.text) or not SERVICE.fullmatch(remark.where):
        return f"{one_line(remark.where)}: {one_line(remark.text)!r} is no name of a variable, and is left out"
    return f"infra secret set {remark.where}.{remark.text}"


def _change_lines(change: comparing.Change, diff: bool) -> list[str]:
    head = f"{change.how:<8} {change.path}{f' ({change.meta})' if change.meta else ''}"
    return [head, *(f"    {line}" for line in change.diff)] if diff and change.how == "changed" else [head]


def _problems(survey: Survey) -> list[str]:
    """Of the system's own file, and of the stack with this host: what is wrong without it is not its matter."""
    file = f"{SYSTEMS}/{survey.derived.system.system}.yaml"
    own = [problem for problem in check(survey.catalogue) if problem.file == file]
    return [str(problem) for problem in sorted([*own, *survey.stack_problems], key=lambda problem: problem.level)]
