"""What should not be: conditions as data, held against what is measured on this host. Reads only."""

from collections.abc import Callable
from dataclasses import dataclass

from agent import quoting, times
from agent.documents.manifest import Alert
from agent.measures import backups, containers, group, machine, proxy, release, units
from agent.monitor import names
from agent.monitor.look import HostFacts, Measured, Measures

MEASURES: dict[str, Callable[[HostFacts, Alert], Measures]] = {
    "unit down": units.down,
    "unit restarts": units.restarts,
    "unit failed": units.failed_units,
    "service unhealthy": units.unhealthy_services,
    "group host": group.hosts_away,
    "spread copies": group.copies_missing,
    "group quorum": group.quorum_lost,
    "memory freed": units.stopped_units,
    "single runs twice": units.singletons_elsewhere,
    "proxy down": proxy.down,
    "proxy server errors": proxy.server_errors,
    "certificate": proxy.certificates_left,
    "certificate renewal": proxy.renewals,
    "network": containers.network,
    "container attachment": containers.attachment,
    "legacy network": containers.legacy,
    "name resolution": containers.resolution,
    "container traffic": containers.traffic,
    "open port": containers.open_ports,
    "container memory": containers.near_limit,
    "oom kills": containers.oom_kills,
    "memory": machine.memory,
    "swap": machine.swap,
    "disk": machine.disk,
    "inodes": machine.inodes,
    "clock": machine.clock,
    "release unfinished": release.unfinished_switch,
    "release overridden": release.overrides,
    "registry login": release.login,
    "followed tag": release.tags_not_taken,
    "backup age": backups.age,
    "backup drill": backups.drills,
}

UNSEEN = "the check itself"  # the subject of a condition that could not be looked at


@dataclass(frozen=True)
class ConditionResult:
    """A condition held against one of its subjects. `repair` names what can be done about it, "" where nothing can."""

    alert: str
    subject: str
    value: float
    met: bool
    text: str
    repair: str = ""


def evaluate(look: HostFacts) -> list[ConditionResult]:
    """Every condition of the release against every subject, in the order of files/alerts.yaml."""
    look.gather()
    return [entry for condition in look.manifest["alerts"] for entry in _evaluate(look, condition)]


def _evaluate(look: HostFacts, condition: Alert) -> list[ConditionResult]:
    """One that cannot be looked at is something that is not right itself, and hides no other."""
    alert = names.current_alert(condition["alert"])
    try:
        measure = MEASURES[names.current_measure(condition["measure"])]
        return [_result(look, measured, condition) for measured in measure(look, condition)]
    except Exception as error:
        text = look.say("{alert} could not be checked: {error}", alert=alert, error=quoting.error(error))
        return [ConditionResult(alert, UNSEEN, 0, True, text)]


def _result(look: HostFacts, measured: Measured, condition: Alert) -> ConditionResult:
    subject, value, detail, is_repairable = measured
    met = value > condition["above"]
    text = ""
    if met:
        # The condition's own text came in the stack's language
        sentence = condition["text"].format(subject=look.say.of(subject), value=value, **condition)
        text = times.in_text(f"{sentence}{look.say.of(detail)}", look.zone)
    repair = (condition.get("repair") if is_repairable else "") or ""
    return ConditionResult(names.current_alert(condition["alert"]), subject, value, met, text, repair)


def firing(look: HostFacts) -> list[ConditionResult]:
    """The conditions that are met."""
    return [entry for entry in evaluate(look) if entry.met]
