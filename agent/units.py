"""systemd units: which run, which are enabled, and what a change of files asks of them."""

from __future__ import annotations

from agent.documents.manifest import Manifest
from agent.managers import ask, group_by_account, has_manager, last_words, split, systemctl
from agent.outcome import Failed
from agent.world import NOT_STARTED, TIMED_OUT, CommandResult, World

# Below an account's home; as in rendering/units.py
OF_ACCOUNT = ".config/systemd/user"

SETTLED = 30.0  # seconds
# What a start may take, and each unit more
STARTS, EACH = 300.0, 5.0
# A unit that waits for its next attempt is on: systemd starts it by itself
RUNNING = {"active", "activating", "reloading"}
# A unit without [Install] cannot be enabled, and need not be
UNANSWERED = "no answer"
GIVEN_UP = 1_000_000
ENABLED = {"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"}


def states(world: World, names: list[str]) -> dict[str, dict[str, bool]]:
    """Unit → whether it is active, and enabled."""
    active, enabled = _ask_managers(world, "is-active", names), _ask_managers(world, "is-enabled", names)
    return {name: {"active": active[name] in RUNNING, "enabled": enabled[name] in ENABLED} for name in names}


def settled_states(world: World, names: list[str]) -> dict[str, dict[str, bool]]:
    """As `states`, of units of which none is on its way down: a monitor restarts one, or a person stops it. One that is
    still stopping after SETTLED seconds counts as active: it was, and is started again. Raises Failed where systemd
    does not answer: a unit of which nothing is known is not off."""
    end = world.now() + SETTLED
    while "deactivating" in (active := _ask_managers(world, "is-active", names)).values() and world.now() < end:
        world.sleep(0.5)
    enabled = _ask_managers(world, "is-enabled", names)
    if silent := [name for name in names if UNANSWERED in (active[name], enabled[name])]:
        raise Failed(_silent(silent))
    running = {*RUNNING, "deactivating"}
    return {name: {"active": active[name] in running, "enabled": enabled[name] in ENABLED} for name in names}


def active(world: World, names: list[str]) -> dict[str, bool]:
    """Unit → whether it runs now, or has done its work; not one that is about to."""
    return {name: answer == "active" for name, answer in _ask_managers(world, "is-active", names).items()}


def retire(world: World, names: list[str]) -> None:
    """Disables units that were stopped and that a release does not have any more. Raises Failed where one goes on: it
    would be in no later plan."""
    disable(world, names)
    for name, answer in _ask_managers(world, "is-active", names).items():
        if answer == UNANSWERED:
            raise Failed(f"whether {name}, which is to be removed, still runs is unknown: {_silent([name])}")
        if answer in {*RUNNING, "deactivating"}:
            raise Failed(f"{name} is to be removed and does not stop: it {why_not(world, name)}")
    for name, answer in _ask_managers(world, "is-enabled", names).items():
        if answer == "enabled":
            raise Failed(f"{name} is to be removed and cannot be disabled")


def _silent(names: list[str]) -> str:
    account, _ = split(names[0])
    whose = f"{account}'s systemd" if account else "systemd"
    heal = f"loginctl terminate-user {account}, or a restart of the host, ends it" if account else "restart the host"
    return f"{whose} does not answer for {', '.join(names[:3])}; {heal}"


def _ask_managers(world: World, question: str, names: list[str]) -> dict[str, str]:
    answer_of: dict[str, str] = {}
    for account, own in group_by_account(names).items():
        prefix = f"{account}/" if account else ""
        answer_of |= {f"{prefix}{name}": answer for name, answer in _answers(world, account, question, own).items()}
    return answer_of


def _answers(world: World, account: str | None, question: str, names: list[str]) -> dict[str, str]:
    ran = ask(world, account, question, *names)
    if _is_silence(world, account, ran):
        return dict.fromkeys(names, UNANSWERED)
    lines = [line.strip() for line in ran.output.split("\n") if line.strip()]
    # `is-enabled` complains in a line more for a unit that is not there
    words = [line for line in lines if " " not in line]
    if len(words) == len(names):
        return dict(zip(names, words))
    answers = {name: ask(world, account, question, name) for name in names}
    return {
        name: UNANSWERED if _is_silence(world, account, one) else (one.output.split() or ["unknown"])[-1]
        for name, one in answers.items()
    }


def _is_silence(world: World, account: str | None, ran: CommandResult) -> bool:
    """Is it no answer of systemd's at all. An account without a manager runs nothing."""
    if ran.code in (TIMED_OUT, NOT_STARTED):
        return True
    return "Failed to connect to bus" in ran.output and (account is None or has_manager(world, account))


def is_healthy(world: World, unit: str) -> bool:
    """Does a unit without a port do what it is for: it runs, waits for its time, or has done its
    work. One that systemd skipped for a condition, or is about to start once more, does not."""
    account, name = split(unit)
    ran = ask(world, account, "show", "-p", "ActiveState", "--value", name)
    return ran.code == 0 and ran.output.strip() == "active"


def ends(world: World, unit: str) -> int:
    """How many times a unit has ended since it was last started by hand; GIVEN_UP where systemd starts it no more."""
    account, name = split(unit)
    ran = ask(world, account, "show", "-p", "ActiveState", "-p", "NRestarts", name)
    state = dict(line.split("=", 1) for line in ran.output.splitlines() if "=" in line)
    if state.get("ActiveState") == "failed":
        return GIVEN_UP
    number = state.get("NRestarts", "")
    return int(number) if number.isdigit() else 0


def why_not(world: World, unit: str) -> str:
    """What systemd says about an unhealthy unit."""
    account, name = split(unit)
    ran = ask(
        world, account, "show", "-p", "ActiveState", "-p", "SubState", "-p", "Result", "-p", "ConditionResult", name
    )
    state = dict(line.split("=", 1) for line in ran.output.splitlines() if "=" in line)
    if state.get("ConditionResult") == "no" and state.get("ActiveState") != "active":
        return "was skipped, since a condition of its unit is not met"
    return f"is {state.get('ActiveState', 'unknown')} ({state.get('SubState', '?')}, {state.get('Result', '?')})"


def units_with_files(manifest: Manifest, paths: set[str]) -> list[str]:
    """The units that one of these files belongs to, in the manifest's order."""
    return [unit["name"] for unit in manifest["units"] if paths & {*unit["files"]}]


def stop(world: World, names: list[str]) -> None:
    for account, own in group_by_account(names).items():
        systemctl(world, account, "stop", *own)


def start(world: World, names: list[str], deadline: float = 0.0) -> None:
    """(Re)starts units; systemd orders them by their dependencies, and ends each by its own limit. Those that have
    `deadline` seconds to become healthy may take as long to start, and many longer than one. Raises Failed."""
    limit, since = max(STARTS, deadline) + EACH * len(names), world.wall()
    for account, own in group_by_account(names).items():
        # Attempts that a bad release used up are none of this one's
        systemctl(world, account, "reset-failed", *own)
        ran = systemctl(world, account, "restart", *own, timeout=limit)
        if ran.code != 0:
            prefix = f"{account}/" if account else ""
            raise Failed(
                _complaint(world, [f"{prefix}{name}" for name in own], since)
                or _describe_failure(account, "restart", own, ran)
            )


def _complaint(world: World, names: list[str], since: float) -> str:
    """What systemd and their own logs since then say of the units that did not start; systemctl itself says only where
    to look."""
    # One that starts again and again is on its way up, and never there
    failed = [name for name, is_up in active(world, names).items() if not is_up]
    complaints = [
        f"{name} {why_not(world, name)}; its log "
        + (f"ends: {log}" if (log := last_words(world, name, 10, since).last_lines()) else "is empty")
        for name in failed[:2]
    ]
    return "; ".join([*complaints, *([f"and {len(failed) - 2} more"] if len(failed) > 2 else [])])


def enable(world: World, names: list[str]) -> None:
    for account, own in group_by_account(names).items():
        _must(world, account, "enable", *own)


def disable(world: World, names: list[str]) -> None:
    """Out of the next boot's way; a unit whose file is gone already has only its link left."""
    for account, own in group_by_account(names).items():
        for name in own:
            systemctl(world, account, "disable", name)


def react(world: World, manifests: list[Manifest], paths: set[str]) -> None:
    """Reloads the programs whose files changed. Raises Failed."""
    if any(path.startswith("/etc/systemd/") for path in paths):
        must(world, "systemctl", "daemon-reload")
    complaints: list[str] = []
    for account in {item["name"]: item for manifest in manifests for item in manifest["accounts"]}.values():
        own = f"{account['home']}/{OF_ACCOUNT}/"
        # An account that was not made, or whose manager is gone, has nothing to read again
        if has_manager(world, account["name"]) and any(path.startswith(own) for path in paths):
            ran = systemctl(world, account["name"], "daemon-reload")
            complaints += [_describe_failure(account["name"], "daemon-reload", [], ran)] if ran.code else []
    commands: list[list[str]] = []
    for reaction in (reaction for manifest in manifests for reaction in manifest["reactions"]):
        concerned = any(path.startswith(tuple(reaction["paths"])) for path in paths)
        if concerned and reaction["run"] not in commands:
            commands.append(reaction["run"])
    for command in commands:
        ran = world.run(*command)
        complaints += [f"{' '.join(command)}: {ran.last_lines()}"] if ran.code else []
    if complaints:
        raise Failed("; ".join(complaints))


def must(world: World, *argv: str) -> None:
    """Raises Failed with the end of what the command said."""
    ran = world.run(*argv)
    if ran.code != 0:
        raise Failed(f"{' '.join(argv)}: {ran.last_lines()}")


def _must(world: World, account: str | None, *words: str) -> None:
    ran = systemctl(world, account, *words)
    if ran.code != 0:
        raise Failed(_describe_failure(account, words[0], list(words[1:]), ran))


def _describe_failure(account: str | None, verb: str, names: list[str], ran: CommandResult) -> str:
    who = f"systemctl --user of {account}" if account else "systemctl"
    return f"{who} {' '.join([verb, *names])}: {ran.last_lines()}"
