"""A preview as a value, which every format shows. Pure."""

from dataclasses import dataclass, field

from infra.move.phases import Phase
from infra.preview.graph import Step
from infra.preview.hosts import HostChange
from policy.facts import Finding

# Of one service, and of several
VERBS = {
    "restarts": ("restarts", "restart"),
    "restarts for its own users": ("restarts with nothing before it", "restart with nothing before them"),
    "restarts behind its socket": ("restarts without a gap", "restart without a gap"),
    "restarts while requests wait": ("restarts while its requests wait", "restart while their requests wait"),
    "blue-green": ("rolls over without a gap", "roll over without a gap"),
    "one after the other": ("restarts without a gap", "restart one after the other"),
    "waits for its name": ("waits until its name points there", "wait until their names point there"),
    "takes the other proxy's place": ("takes the other proxy's place", "take the other proxy's place"),
    "starts": ("starts", "start"),
    "stops for good": ("stops for good", "stop for good"),
    "runs at its next time": ("changes its times", "change their times"),
}
WORDS = {"create": "created", "update": "changed", "replace": "replaced", "delete": "deleted"}


@dataclass(frozen=True)
class Cost:
    """US dollars a month before and after (None where a price is not known), by the prices of `as_of`."""

    before: float | None
    after: float | None
    as_of: str

    @property
    def more(self) -> float:
        return 0.0 if self.after is None or self.before is None else round(self.after - self.before, 2)


@dataclass(frozen=True)
class StackReport:
    """One stack, made from `source` (mocks, or live). With an `error` nothing else is known; `problems` are the
    catalogue's own, `moves` is (from, to) where the stack changes its region, `replaces` the hosts that become another
    machine, `goes` the systems that go to another host. Of live previews only: `hosts_say`, what
    was found on the hosts themselves and what the program warns of, and `images`, what is to run, `repository:tag` →
    digest."""

    stack: str
    fingerprint: str = ""
    error: str = ""
    steps: list[Step] = field(default_factory=list)
    hosts: list[HostChange] = field(default_factory=list)
    cost: Cost = Cost(None, None, "")
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    moves: tuple[str, str] | None = None
    replaces: list[str] = field(default_factory=list)
    goes: list[str] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    hosts_say: list[str] = field(default_factory=list)
    source: str = "mocks"
    images: dict[str, str] = field(default_factory=dict)

    @property
    def changed_hosts(self) -> list[HostChange]:
        return [host for host in self.hosts if host.how != "same"]

    @property
    def is_empty(self) -> bool:
        return not self.error and not self.steps and not self.changed_hosts

    @property
    def is_refused(self) -> bool:
        return bool(self.error) or any(finding.level == "error" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The one line that a reviewer needs."""
        if self.error:
            lines = [line for line in self.error.splitlines() if not line.endswith("touched:")] or [self.error]
            first, *more = lines
            why = "does not validate" if self.source == "mocks" else "cannot be done"
            return f"{why}: {first.removeprefix('error: ')}" + (f"; and {len(more)} more" if more else "")
        parts = [*self._dangers(), *self._effects()]
        if not parts:
            parts = [f"{self._counted()}, no service restarts"] if self.steps or self.changed_hosts else ["no change"]
        if refused := [finding for finding in self.findings if finding.level == "error"]:
            parts.insert(0, f"refused by policy ({len(refused)}): {refused[0].where}: {refused[0].found}")
        if self.cost.more:
            parts.append(f"{'+' if self.cost.more > 0 else '−'}${abs(self.cost.more):.2f} a month")
        return "; ".join(parts)

    def _counted(self) -> str:
        files = sum(len(host.files) for host in self.changed_hosts)
        cloud = [step for step in self.steps if step.type.startswith("aws:")]
        parts = [f"{len(cloud)} resource(s) in AWS"] if cloud else []
        return ", ".join([*parts, *([f"{files} file(s) on hosts"] if files else [])]) or "the hosts' releases alone"

    def _dangers(self) -> list[str]:
        """What is lost, the same loss of several in one line."""
        if self.moves:
            return [f"moves from {self.moves[0]} to {self.moves[1]} in {len(self.phases)} steps{self._ends()}"]
        lines, found, retired = [], dict[str, list[Step]](), set[str]()
        if self.replaces:
            lines = [f"another machine for {', '.join(self.replaces)} in {len(self.phases)} steps{self._ends()}"]
            retired = {name for phase in self.phases if phase.step == "retire" for name in phase.touches}
        lines += [f"{', '.join(self.goes)} in {len(self.phases)} steps"] if self.goes else []
        for step in (step for step in self.steps if step.name not in retired):
            for text in [step.danger] if step.danger else step.notes:
                found.setdefault(f"{step.op} {step.kind.name}|{text}", []).append(step)
        lines += [*self._closed(), *self._openings()]
        for key, steps in found.items():
            verb, text = key.split("|", 1)
            op, kind = verb.split(" ", 1)
            said = {"replace": f"replaces the {kind}", "delete": f"deletes the {kind}"}.get(op, "")
            many = f" ({len(steps)} of them)" if len(steps) > 1 else ""
            lines.append(f"{said}{many}: {text}" if said else f"{text}{many}")
        return lines

    def _ends(self) -> str:
        """`, the last of which deletes 1 machine(s) with their disks, 15 repositories with their images`."""
        kinds = [step.kind.name for step in self.steps if step.op == "delete"]
        machines, repositories = kinds.count("machine"), kinds.count("repository")
        parts = [f"{machines} machine(s) with their disks"] if machines else []
        parts += [f"{repositories} repositories with their images"] if repositories else []
        return f", the last of which deletes {', '.join(parts)}" if parts else ""

    def _closed(self) -> list[str]:
        """Public paths that no host serves any more, and those whose guards are gone."""
        gained = {path for host in self.hosts for path in host.gained}
        lost = [path for host in self.hosts for path in host.lost if path not in gained]
        opened = [path for host in self.hosts for path in host.opened]
        said = [f"no longer public: {_listed(lost)}"] if lost else []
        return [*said, *([f"open to every client: {_listed(opened)}"] if opened else [])]

    def _openings(self) -> list[str]:
        """Who may reach SSH from now on, and who may not any more."""
        said = {"create": "opens SSH to", "delete": "closes SSH to"}
        rules = [(step.op, step.new or step.old or {}) for step in self.steps if step.kind.name == "opening"]
        found = [
            (op, rule.get("cidrIpv4", "somebody"))
            for op, rule in rules
            if op in said and float(rule.get("fromPort", 0)) == 22
        ]
        return [f"{said[op]} {network}" for op, network in sorted(found, key=lambda one: one[0] == "create")]

    def _effects(self) -> list[str]:
        asks = [service for host in self.changed_hosts for service in host.health]
        several = "s" if len(asks) > 1 else ""
        changed = [f"what makes {len(asks)} service{several} healthy changes: {_listed(asks)}"] if asks else []
        by_way: dict[str, list[str]] = {}
        for host in self.changed_hosts:
            for effect in host.effects:
                by_way.setdefault(effect.how, []).append(effect.service)
        return changed + [
            f"{len(names)} service{'s' * (len(names) > 1)} {VERBS[way][len(names) > 1]}: {_listed(names)}"
            for way, names in by_way.items()
            if way in VERBS
        ]


def _listed(names: list[str]) -> str:
    shown = list(dict.fromkeys(names))
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


@dataclass(frozen=True)
class Report:
    """All stacks of a preview, and the commits that were compared."""

    base: str
    head: str
    stacks: list[StackReport]

    @property
    def code(self) -> int:
        return 1 if any(stack.is_refused for stack in self.stacks) else 0
