"""systemd units: which run, which are enabled, and what a change of files asks of them."""

from typing import Any

from agent.outcome import Failed
from agent.world import World

# A unit that waits for its next attempt is on: systemd starts it by itself
RUNNING = {"active", "activating", "reloading"}
# A unit without [Install] cannot be enabled, and need not be
ENABLED = {"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"}


def states(world: World, names: list[str]) -> dict[str, dict[str, bool]]:
    """Unit → whether it is active, and enabled."""
    active, enabled = _asked(world, "is-active", names), _asked(world, "is-enabled", names)
    return {name: {"active": active[name] in RUNNING, "enabled": enabled[name] in ENABLED} for name in names}


def _asked(world: World, question: str, names: list[str]) -> dict[str, str]:
    lines = world.run("systemctl", question, *names).output.split("\n") if names else []
    lines = [line.strip() for line in lines if line.strip()]
    # `is-enabled` complains in a line more for a unit that is not there
    known = [line for line in lines if " " not in line]
    return dict(zip(names, known, strict=True)) if len(known) == len(names) else _one_by_one(world, question, names)


def _one_by_one(world: World, question: str, names: list[str]) -> dict[str, str]:
    return {name: (world.run("systemctl", question, name).output.split() or ["unknown"])[-1] for name in names}


def changed(manifest: dict[str, Any], paths: set[str]) -> list[str]:
    """The units that one of these files belongs to, in the manifest's order."""
    return [unit["name"] for unit in manifest["units"] if paths & {*unit["files"]}]


def stop(world: World, names: list[str]) -> None:
    if names:
        world.run("systemctl", "stop", *names)


def start(world: World, names: list[str]) -> None:
    """(Re)starts units; systemd orders them by their dependencies. Raises Failed."""
    if names:
        must(world, "systemctl", "restart", *names)


def enable(world: World, names: list[str]) -> None:
    if names:
        must(world, "systemctl", "enable", *names)


def disable(world: World, names: list[str]) -> None:
    """Out of the next boot's way; a unit whose file is gone already has only its link left."""
    for name in names:
        world.run("systemctl", "disable", name)


def react(world: World, manifests: list[dict[str, Any]], paths: set[str]) -> None:
    """Tells the programs whose files changed. Raises Failed."""
    if any(path.startswith("/etc/systemd/") for path in paths):
        must(world, "systemctl", "daemon-reload")
    commands: list[list[str]] = []
    for reaction in (reaction for manifest in manifests for reaction in manifest["reactions"]):
        concerned = any(path.startswith(tuple(reaction["paths"])) for path in paths)
        if concerned and reaction["run"] not in commands:
            commands.append(reaction["run"])
    for command in commands:
        must(world, *command)


def must(world: World, *argv: str) -> None:
    """Raises Failed with the end of what the command said."""
    ran = world.run(*argv)
    if ran.code != 0:
        raise Failed(f"{' '.join(argv)}: {ran.last_lines()}")
