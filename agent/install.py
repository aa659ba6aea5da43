"""The agent itself on a host: kept there, so that it can go on without whoever sent it, and after a reboot."""

import hashlib
import os

from agent.store import STATE
from agent.world import World

AGENTS = f"{STATE}/agents"
BIN = f"{STATE}/bin"
MAIN = b"from agent.main import command\n\ncommand()\n"
UNIT = "infra-recover.service"
RECOVER = f"""# Made by the release agent.
[Unit]
Description=Finish or undo a release that was interrupted
ConditionPathExists={STATE}/transaction.json
After=network-online.target docker.service nginx.service caddy.service systemd-user-sessions.service
Wants=network-online.target

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I -B {BIN} recover
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def install(world: World, sources: dict[str, bytes]) -> str:
    """Keeps these sources (path → text), makes them the host's agent, and returns their directory."""
    whole = b"".join(name.encode() + b"\0" + text + b"\0" for name, text in sorted(sources.items()))
    place = f"{AGENTS}/{hashlib.sha256(whole).hexdigest()[:16]}"
    world.directory(STATE, 0o700, "root", "root")
    if world.read(f"{place}/__main__.py") is None:
        for name, text in sources.items():
            world.write(f"{place}/{name}", text, 0o644, "root", "root")
        # Once, and not at each look of the monitor; where that fails, it is only slower
        world.run("/usr/bin/python3", "-I", "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", place)
        # A file that a loss of power cut short would stop the agent, whose task is to recover from one
        world.settle(place)
        world.write(f"{place}/__main__.py", MAIN, 0o644, "root", "root")
    world.link(BIN, place)
    path = f"/etc/systemd/system/{UNIT}"
    if world.read(path) != RECOVER.encode():
        world.write(path, RECOVER.encode(), 0o644, "root", "root")
        world.run("systemctl", "daemon-reload")
        world.run("systemctl", "enable", UNIT)
    return place


def forget_others(world: World) -> None:
    """Earlier agents go."""
    ours = world.link_target(BIN) or ""
    for name in world.listing(AGENTS):
        if name != os.path.basename(ours):
            world.remove_tree(f"{AGENTS}/{name}")
