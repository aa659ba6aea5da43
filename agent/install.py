"""The agent itself on a host: kept there, so that it can go on without the connection, and after a reboot."""

import hashlib

from agent import proxies
from agent.store import STATE
from agent.units import must
from agent.world import World

AGENTS = f"{STATE}/agents"
BIN = f"{STATE}/bin"
LOCK = "/run/infra/agents.lock"
MAIN = b"from agent.main import command\n\ncommand()\n"
UNIT = "infra-recover.service"
RECOVER = f"""# Made by the release agent.
[Unit]
Description=Finish or undo a release that was interrupted
ConditionPathExists=|{STATE}/transaction.json
ConditionPathExists=|{STATE}/certificates.json
ConditionPathExists=|{STATE}/restoring.json
After=network-online.target srv.mount docker.service {" ".join(proxies.unit_names())} systemd-user-sessions.service
Wants=network-online.target

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I -B {BIN} recover
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def install(world: World, sources: dict[str, bytes]) -> str:
    """Keeps these sources (path → text), makes them the host's agent, and returns their directory. LOCK is held.
    Raises OSError, and Failed where systemd does not take the unit that recovers at boot."""
    whole = b"".join(name.encode() + b"\0" + text + b"\0" for name, text in sorted(sources.items()))
    place = f"{AGENTS}/{hashlib.sha256(whole).hexdigest()[:16]}"
    world.directory(STATE, 0o700, "root", "root")
    if not _is_whole(world, place, sources):
        _build(world, place, sources)
    world.link(BIN, place)
    path = f"/etc/systemd/system/{UNIT}"
    # Asked each time: an installation that was killed may have left the file, and nothing that starts it
    if world.read(path) != RECOVER.encode() or world.run("systemctl", "is-enabled", "--quiet", UNIT).code:
        world.write(path, RECOVER.encode(), 0o644, "root", "root")
        must(world, "systemctl", "daemon-reload")
        must(world, "systemctl", "enable", UNIT)
    return place


def _is_whole(world: World, place: str, sources: dict[str, bytes]) -> bool:
    expected = {**sources, "__main__.py": MAIN}
    return all(world.read(f"{place}/{name}") == text for name, text in expected.items())


def _build(world: World, place: str, sources: dict[str, bytes]) -> None:
    """Aside, and renamed when it is whole and on the disk: a kill leaves no half of an agent, whose task is to recover
    from one. Raises OSError."""
    aside = f"{place}.new"
    world.remove_tree(aside)
    for name, text in {**sources, "__main__.py": MAIN}.items():
        world.write(f"{aside}/{name}", text, 0o644, "root", "root")
    # Once, and not at each look of the monitor; where that fails, it is only slower
    world.run("/usr/bin/python3", "-I", "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", aside)
    if not _is_whole(world, aside, sources):
        raise OSError(f"{aside} differs from what was written there")
    world.settle(aside)
    # Where one is there it is damaged
    world.remove_tree(place)
    world.rename_tree(aside, place)


def forget_others(world: World, in_use: set[str]) -> None:
    """Earlier agents go, but for the directories that jobs run from; so does what was built and never finished. LOCK is
    held."""
    for place in (f"{AGENTS}/{name}" for name in world.listing(AGENTS)):
        if place not in {world.link_target(BIN), *in_use}:
            world.remove_tree(place)
