"""What may be repaired without a person: each repair restores what the release says, and can lose nothing."""

from collections.abc import Callable

from agent import forwarding, managers, prune
from agent.documents.manifest import Container
from agent.monitor.conditions import ConditionResult
from agent.monitor.history import DAY, Repair
from agent.monitor.look import HostFacts
from agent.outcome import Failed
from agent.units import must
from agent.wording import phrase

FIRST_PAUSE = 300.0  # seconds until the same is tried again, twice as many after each time
PER_DAY = 6


def candidates(results: list[ConditionResult], kind: str) -> list[ConditionResult]:
    """Of what is not right, what a kind of repair can put right, each thing once."""
    return list({entry.subject: entry for entry in results if entry.met and entry.repair == kind}.values())


def why_not(entry: ConditionResult, past: list[Repair], now: float) -> str:
    """Why a repair is not tried now; "" when it is. What did not last is tried less and less often, and PER_DAY times
    a day at most. A time that is still to come was written by a clock that was ahead, and counts for nothing."""
    tries = [r for r in past if (r.repair, r.subject) == (entry.repair, entry.subject) and 0 <= now - r.at < DAY]
    if not tries:
        return ""
    if len(tries) >= PER_DAY:
        return f"tried {len(tries)} times in a day: no more automatic attempts"
    if entry.repair == "restart docker" and not tries[-1].worked:
        return "a restart of Docker did not help: no more automatic attempts"
    pause = FIRST_PAUSE * 2 ** (len(tries) - 1)
    seconds = tries[-1].at + pause - now
    return f"tried {len(tries)} times in a day, next in {seconds:.0f} s" if seconds > 0 else ""


def repair(look: HostFacts, entry: ConditionResult) -> str:
    """Does it, and says what it did, in the owners' language. Raises Failed."""
    return look.say.of(REPAIRS[entry.repair](look, entry.subject))


def _restart_docker(look: HostFacts, _: str) -> str:
    forwarding.restart(look.world, [look.manifest])
    return phrase("Docker and every container were restarted")


def _make_network(look: HostFacts, subject: str) -> str:
    """Its unit takes the containers with it: they could not be in a network that is not there."""
    network = next(entry for entry in look.manifest["networks"] if entry["name"] == subject)
    must(look.world, "systemctl", "restart", "--no-block", network["unit"])
    return phrase("{unit} and the containers of that network were restarted", unit=network["unit"])


def _attach(look: HostFacts, subject: str) -> str:
    """Only where no other container has its address: it would be nowhere then."""
    definition = _container(look, subject)
    network, address = definition["network"], definition["address"]
    for other, container in look.containers.items():
        if address and other != subject and container.addresses.get(network) == address:
            form = "{address} of {network} is taken by {other}, which is not attached as defined either"
            raise Failed(phrase(form, address=address, network=network, other=other))
    before = look.containers[subject].addresses.get(network)
    names = [word for alias in definition["aliases"] for word in ("--alias", alias)]
    if before:
        must(look.world, "docker", "network", "disconnect", network, subject)
    try:
        fixed = ["--ip", address] if address else []
        must(look.world, "docker", "network", "connect", *fixed, *names, network, subject)
    except Failed:
        if before:
            look.world.run("docker", "network", "connect", "--ip", before, *names, network, subject)
        raise
    form = "{container} was attached to {network} at {address}" if address else "{container} was attached to {network}"
    return phrase(form, container=subject, network=network, address=address)


def _container(look: HostFacts, name: str) -> Container:
    return next(entry for entry in look.manifest["containers"] if entry["name"] == name)


def _start(look: HostFacts, subject: str) -> str:
    account, name = managers.split(subject)
    managers.systemctl(look.world, account, "reset-failed", name)
    ran = managers.systemctl(look.world, account, "start", "--no-block", name)
    if ran.code:
        raise Failed(f"systemctl start {subject}: {ran.last_lines()}")
    return phrase("{unit} was started", unit=subject)


def _prune(look: HostFacts, _: str) -> str:
    freed = prune.images(look.world)
    if not freed:
        raise Failed(phrase("there are no unused images to remove: something else fills the disk"))
    return phrase("unused images were removed, up to {size} MiB", size=freed // 1024**2)


REPAIRS: dict[str, Callable[[HostFacts, str], str]] = {
    "restart docker": _restart_docker,
    "make network": _make_network,
    "attach": _attach,
    "start": _start,
    "prune": _prune,
}
