"""A preview as a value, which every format shows. Pure."""

from dataclasses import dataclass, field

from agent.wording import Speaker, phrase
from infra.move.phases import Phase
from infra.preview.graph import Step
from infra.preview.groups import GroupChange
from infra.preview.hosts import HostChange
from policy.facts import Finding

# Of one service, and of several
VERBS = {
    "restarts": ("restarts", "restart"),
    "restarts for its own users": ("restarts with a gap", "restart with a gap"),
    "restarts behind its socket": ("restarts without a gap", "restart without a gap"),
    "restarts while requests wait": ("restarts while its requests wait", "restart while their requests wait"),
    "blue-green": ("rolls over without a gap", "roll over without a gap"),
    "one after the other": ("restarts without a gap", "restart one after the other"),
    "copies one after the other": ("is replaced without a gap", "are replaced without a gap"),
    "another number of copies": ("runs in another number of copies", "run in another number of copies"),
    "waits for its name": ("waits until its name points there", "wait until their names point there"),
    "takes the other proxy's place": ("takes the other proxy's place", "take the other proxy's place"),
    "starts": ("starts", "start"),
    "stops permanently": ("stops permanently", "stop permanently"),
    "runs at its next scheduled time": ("changes its schedule", "change their schedules"),
}
# Of one service, and of several
EFFECT = ("{count} service {verb}: {names}", "{count} services {verb}: {names}")
HEALTH = (
    "the health check of {count} service changes: {names}",
    "the health checks of {count} services change: {names}",
)
INBOUND = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
SSH = {"create": "opens SSH to {network}", "delete": "closes SSH to {network}"}
LOSSES = {"replace": "replaces the {kind}{many}: {text}", "delete": "deletes the {kind}{many}: {text}"}
ENGLISH = Speaker({})
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
    machine, `goes` the systems that go to another host, `language` and `timezone` its owners'. Of live previews only:
    `hosts_say`, what was found on the hosts themselves and what the program warns of, and `images`, what is to run,
    `repository:tag` → digest."""

    stack: str
    fingerprint: str = ""
    error: str = ""
    steps: list[Step] = field(default_factory=list[Step])
    hosts: list[HostChange] = field(default_factory=list[HostChange])
    groups: list[GroupChange] = field(default_factory=list[GroupChange])
    cost: Cost = Cost(None, None, "")
    findings: list[Finding] = field(default_factory=list[Finding])
    problems: list[str] = field(default_factory=list[str])
    moves: tuple[str, str] | None = None
    replaces: list[str] = field(default_factory=list[str])
    goes: list[str] = field(default_factory=list[str])
    phases: list[Phase] = field(default_factory=list[Phase])
    hosts_say: list[str] = field(default_factory=list[str])
    source: str = "mocks"
    language: str = "en"
    timezone: str = "UTC"
    images: dict[str, str] = field(default_factory=dict[str, str])

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
        return self.verdict_in(ENGLISH)

    def verdict_in(self, say: Speaker) -> str:
        """The same in the language of a reader."""
        if self.error:
            lines = [line for line in self.error.splitlines() if not line.endswith("touched:")] or [self.error]
            first, *more = lines
            first = first.removeprefix("error: ")
            is_invalid = self.source == "mocks"
            why = say("does not validate: {why}", why=first) if is_invalid else say("not possible: {why}", why=first)
            return why + (say("; and {count} more", count=len(more)) if more else "")
        parts = [*self._dangers(say), *self._effects(say)]
        if not parts:
            is_change = self.steps or self.changed_hosts
            none = say("no change")
            parts = [say("{counted}, no service restarts", counted=self._change_counts(say)) if is_change else none]
        if refused := [finding for finding in self.findings if finding.level == "error"]:
            form = "refused by policy ({count}): {where}: {found}"
            parts.insert(0, say(form, count=len(refused), where=refused[0].where, found=refused[0].found))
        if self.cost.more:
            change = f"{'+' if self.cost.more > 0 else '−'}${abs(self.cost.more):.2f}"
            parts.append(say("{change} per month", change=change))
        return say("; ").join(parts)

    def _change_counts(self, say: Speaker) -> str:
        files = sum(len(host.files) for host in self.changed_hosts)
        cloud = [step for step in self.steps if step.type.startswith("aws:")]
        resources = say("1 resource in AWS") if len(cloud) == 1 else say("{count} resources in AWS", count=len(cloud))
        on_hosts = say("1 file on hosts") if files == 1 else say("{count} files on hosts", count=files)
        parts = [*([resources] if cloud else []), *([on_hosts] if files else [])]
        return say(", ").join(parts) or say("only the hosts' releases")

    def _dangers(self, say: Speaker) -> list[str]:
        """What is lost, the same loss of several in one line."""
        if self.moves:
            form = "moves from {old} to {new} in {count} steps{ends}"
            old, new = self.moves
            return [say(form, old=old, new=new, count=len(self.phases), ends=self._ends(say))]
        lines, steps_by_danger, retired = [], dict[tuple[str, str, str], list[Step]](), set[str]()
        if self.replaces:
            form = "another machine for {hosts} in {count} steps{ends}"
            lines = [say(form, hosts=", ".join(self.replaces), count=len(self.phases), ends=self._ends(say))]
            retired = {name for phase in self.phases if phase.step == "retire" for name in phase.touches}
        systems = say(", ").join(say.of(system) for system in self.goes)
        lines += [say("{systems} in {count} steps", systems=systems, count=len(self.phases))] if self.goes else []
        for step in (step for step in self.steps if step.name not in retired):
            for text in [phrase(step.danger)] if step.danger else step.notes:
                steps_by_danger.setdefault((step.op, step.kind.name, text), []).append(step)
        lines += [*self._path_warnings(say), *self._openings(say)]
        for (op, kind, text), steps in steps_by_danger.items():
            many = say(" ({count} of them)", count=len(steps)) if len(steps) > 1 else ""
            if form := LOSSES.get(op):
                lines.append(say(form, kind=say.word(kind), many=many, text=say.of(text)))
            else:
                lines.append(f"{say.of(text)}{many}")
        return lines

    def _ends(self, say: Speaker) -> str:
        """`, the last of which deletes 1 machine with its disks, 15 repositories with their images`."""
        kinds = [step.kind.name for step in self.steps if step.op == "delete"]
        machines, repositories = kinds.count("machine"), kinds.count("repository")
        parts: list[str] = []
        if machines:
            many = say("{count} machines with their disks", count=machines)
            parts.append(say("1 machine with its disks") if machines == 1 else many)
        if repositories:
            many = say("{count} repositories with their images", count=repositories)
            parts.append(say("1 repository with its images") if repositories == 1 else many)
        return say(", the last of which deletes {what}", what=say(", ").join(parts)) if parts else ""

    def _path_warnings(self, say: Speaker) -> list[str]:
        """Public paths that no host serves any more, and those whose guards are gone."""
        gained = {path for host in self.hosts for path in host.gained}
        lost = [path for host in self.hosts for path in host.lost if path not in gained]
        opened = [path for host in self.hosts for path in host.opened]
        closed = [say("no longer public: {paths}", paths=_short_list(lost, say))] if lost else []
        return [*closed, *([say("open to every client: {paths}", paths=_short_list(opened, say))] if opened else [])]

    def _openings(self, say: Speaker) -> list[str]:
        """Who may reach SSH from now on, and who may not any more."""
        rules = [(step.op, step.new or step.old or {}) for step in self.steps if step.type == INBOUND]
        changes = [
            (op, rule.get("cidrIpv4", "an unknown network"))
            for op, rule in rules
            if op in SSH and float(rule.get("fromPort", 0)) == 22
        ]
        return [say(SSH[op], network=network) for op, network in sorted(changes, key=lambda one: one[0] == "create")]

    def _effects(self, say: Speaker) -> list[str]:
        asks = [service for host in self.changed_hosts for service in host.health]
        form = HEALTH[len(asks) > 1]
        changed = [say(form, count=len(asks), names=_short_list(asks, say))] if asks else []
        by_way: dict[str, list[str]] = {}
        for host in self.changed_hosts:
            for effect in host.effects:
                by_way.setdefault(effect.how, []).append(effect.service)
        return changed + [
            say(
                EFFECT[len(names) > 1],
                count=len(names),
                verb=say.word(VERBS[way][len(names) > 1]),
                names=_short_list(names, say),
            )
            for way, names in by_way.items()
            if way in VERBS
        ]


def _short_list(names: list[str], say: Speaker) -> str:
    unique = list(dict.fromkeys(names))
    return say(", ").join(unique[:3]) + (say(" and {count} more", count=len(unique) - 3) if len(unique) > 3 else "")


@dataclass(frozen=True)
class Report:
    """All stacks of a preview, and the commits that were compared."""

    base: str
    head: str
    stacks: list[StackReport]

    @property
    def code(self) -> int:
        return 1 if any(stack.is_refused for stack in self.stacks) else 0
