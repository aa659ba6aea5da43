"""The release is judged by the programs that will read it, on staged copies, before anything is touched."""

import shlex
from concurrent.futures import ThreadPoolExecutor

from agent import journald
from agent.desired import Difference, Wanted
from agent.outcome import Refused
from agent.world import World

STAGE = "/run/infra/stage"
UNITS = "/etc/systemd/system/"
NGINX = "/etc/nginx/"
JOURNALD = "/etc/systemd/journald.conf.d/"


def validate(world: World, files: list[Wanted], change: Difference) -> None:
    """Raises Refused with the first complaint of each program. Only what changes is judged."""
    world.run("rm", "-rf", STAGE)
    world.directory(STAGE, 0o700, "root", "root")
    try:
        for file in files:
            world.write(STAGE + file.path, file.content, file.mode, "root", "root")
        complaints = [
            *_units(world, change),
            *_compose(world, change),
            *_nginx(world, change),
            *_journald(change),
        ]
    finally:
        world.run("rm", "-rf", STAGE)
    if complaints:
        raise Refused("; ".join(complaints))


def _units(world: World, change: Difference) -> list[str]:
    changed = [file.path for file in change.write if file.path.startswith(UNITS)]
    if not changed:
        return []
    ran = world.run(
        "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *(STAGE + path for path in changed),
        environment={"SYSTEMD_UNIT_PATH": f"{STAGE}{UNITS.rstrip('/')}:"},
    )  # fmt: skip
    return [f"systemd-analyze verify: {ran.last_lines().replace(STAGE, '')}"] if ran.code else []


def _compose(world: World, change: Difference) -> list[str]:
    changed = [file.path for file in change.write if is_compose(file.path)]
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda path: world.run("docker-compose", "-f", STAGE + path, "config", "-q"), changed)
    pairs = zip(changed, runs, strict=True)
    return [f"docker-compose config {path}: {ran.last_lines().replace(STAGE, '')}" for path, ran in pairs if ran.code]


def _journald(change: Difference) -> list[str]:
    changed = [file for file in change.write if file.path.startswith(JOURNALD)]
    return [text for file in changed for text in journald.complaints(file.path, file.content.decode())]


def is_compose(path: str) -> bool:
    name = path.rsplit("/", 1)[1]
    return name.startswith("docker-compose") and name.endswith((".yml", ".yaml"))


def _nginx(world: World, change: Difference) -> list[str]:
    if not any(path.startswith(NGINX) for path in change.paths):
        return []
    staged = f"{STAGE}/nginx"
    world.run("cp", "-a", NGINX.rstrip("/"), staged)
    for path in change.remove:
        if path.startswith(NGINX):
            world.remove(f"{staged}/{path[len(NGINX) :]}")
    for file in change.write:
        if file.path.startswith(NGINX):
            world.write(f"{staged}/{file.path[len(NGINX) :]}", file.content, file.mode, "root", "root")
    for path, target in change.link.items():
        if path.startswith(NGINX):
            world.link(f"{staged}/{path[len(NGINX) :]}", target)
    # In a mount namespace of its own the staged tree stands where Nginx will look, and nowhere else
    script = f"mount --bind {shlex.quote(staged)} /etc/nginx && exec nginx -t -q"
    ran = world.run("unshare", "--mount", "sh", "-c", script)
    return [f"nginx -t: {ran.last_lines(2)}"] if ran.code else []
