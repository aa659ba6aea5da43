"""Units and services: do they run, how often were they started again, are they healthy."""

from collections import Counter

from agent import managers, slots
from agent.documents.manifest import Alert
from agent.monitor.look import LOOK, HostFacts, Measured, Measures, Unanswered
from agent.wording import phrase

RESTART_SCHEDULED = "5eb03494b6584870a536b337290809b3"


def down(look: HostFacts, _: Alert) -> Measures:
    """1 for a unit of the release that does not run."""
    for name, state in look.units.items():
        if not look.proxy or name != look.proxy.unit:
            yield Measured(name, 0 if state["active"] else 1)


def restarts(look: HostFacts, condition: Alert) -> Measures:
    """How often systemd started a unit again by itself."""
    try:
        restart_counts = Counter(managers.announcements(look.world, RESTART_SCHEDULED, condition["within"], 2 * LOOK))
    except OSError as error:
        raise Unanswered(str(error)) from None
    for name in look.running:
        account, unit = managers.split(name)
        user = look.world.account(account) if account else None
        yield Measured(name, restart_counts[str(user.uid) if user else "", unit])


def failed_units(look: HostFacts, _: Alert) -> Measures:
    """1 for every unit of the host's, the release's or not, that has failed."""
    ran = look.world.run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager", timeout=LOOK)
    if ran.code:
        raise Unanswered(f"systemctl list-units: {ran.last_lines(1)}")
    names = [line.split()[0] for line in ran.output.splitlines() if line.strip()]
    for name in [name for name in names if name not in look.running]:
        yield Measured(name, 1)
    if not names:
        yield Measured("units", 0)


def unhealthy_services(look: HostFacts, _: Alert) -> Measures:
    """1 for a service that runs and does not answer 200 on its health path."""
    units = {probe["service"]: probe["unit"] for probe in look.manifest["probes"]}
    for service, status in look.services.items():
        active = look.units.get(units[service], {}).get("active", True)
        answer = phrase(" (it answered {status})", status=status) if status else ""
        yield Measured(service, 1 if status != 200 and active else 0, answer)


def stopped_units(look: HostFacts, _: Alert) -> Measures:
    """1 for a unit that made room in memory."""
    stopped_units = slots.stopped_units(look.world, look.manifest)
    for name in [unit["name"] for unit in look.manifest["units"] if unit.get("bar")]:
        yield Measured(name, 1 if name in stopped_units else 0)


def singletons_elsewhere(look: HostFacts, _: Alert) -> Measures:
    """1 for a service of which at most one instance runs anywhere, and that runs although its name points elsewhere."""
    for unit in look.manifest["units"]:
        if unit.get("flag") and not look.world.exists(unit["flag"]):
            ran = look.world.run("systemctl", "is-active", unit["name"])
            yield Measured(unit["name"], 1 if ran.output.strip() == "active" else 0)
