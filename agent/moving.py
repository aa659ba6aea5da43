"""What a host does when data of a system moves from it to another host. Goes there by itself, since the host may have
an older agent: it imports nothing of the agent, and speaks JSON lines.

The units that write are stopped under a lease: who asked for it renews it, and when nothing renews it any more (a
closed laptop, a killed update) they start again. Only a commit makes it last: at no time do two hosts write.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import json
import os
import pwd
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable
from subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from agent.documents import moves

RUN = "/run/infra/moving"
HELD, GONE = "/run/infra/away", "/etc/infra/away"  # as in agent/away.py; an account's own manager reads them too
SYSTEMD = "/etc/systemd"
DROP_IN = "zz-infra-away-"  # and the name of what moves
NOTED = ("id", "to", "region", "units", "what")  # of what a hold is asked
LEASE = 30.0  # seconds without a renewal
STOPS = 300.0  # seconds
ON, OFF = ("active", "activating", "reloading", "deactivating"), ("inactive", "failed", "unknown", "")
_out = threading.Lock()


class Failed(Exception): ...


def say(**event: object) -> None:
    with _out:
        print(json.dumps(event), flush=True)


def run(*argv: str, timeout: float = 60.0) -> tuple[int, str]:
    """Exit code (-1: it did not end, or there is no such program), and what was said."""
    try:
        ran = subprocess.run(argv, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return ran.returncode, ran.stdout.decode(errors="replace").strip()


def systemctl(account: str, *words: str, timeout: float = 60.0) -> tuple[int, str]:
    if not account:
        return run("systemctl", *words, timeout=timeout)
    try:
        place = f"/run/user/{pwd.getpwnam(account).pw_uid}"
    except KeyError:
        return 1, ""
    where = [f"XDG_RUNTIME_DIR={place}", f"DBUS_SESSION_BUS_ADDRESS=unix:path={place}/bus"]
    return run("runuser", "-u", account, "--", "env", *where, "systemctl", "--user", *words, timeout=timeout)


def by_manager(units: Iterable[str]) -> dict[str, list[str]]:
    """Account ("" for the host) → its units, in their order; a unit of an account's is named ACCOUNT/UNIT."""
    units_of: dict[str, list[str]] = {}
    for unit in units:
        account, _, name = unit.rpartition("/")
        units_of.setdefault(account, []).append(name)
    return units_of


def running(units: list[str]) -> list[str]:
    """Those that run, or are on their way. Raises Failed where systemd does not answer."""
    active: list[str] = []
    for unit in units:
        account, _, name = unit.rpartition("/")
        code, output = systemctl(account, "is-active", name)
        state = output.split("\n")[-1]
        if code == -1 or state not in (*ON, *OFF):
            raise Failed(f"whether {unit} is running is unknown: {state or 'systemd does not answer'}")
        active += [unit] if state in ON else []
    return active


@contextlib.contextmanager
def hold_lock() -> Generator[None]:
    os.makedirs(RUN, 0o700, exist_ok=True)
    with open(os.open(f"{RUN}/lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write(path: str, text: str, mode: int = 0o644) -> None:
    """The whole of a file, on the disk."""
    folder = os.path.dirname(path)
    os.makedirs(folder, 0o755, exist_ok=True)
    part = f"{path}.part"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def read(path: str) -> Any:
    """A record; None where there is none. Raises Failed for one that is damaged."""
    try:
        with open(path) as file:
            content = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Failed(f"{path} cannot be read: {error}") from None
    return cast("Any", content) if isinstance(content, dict) else None


def remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def describe(payload: moves.DescribePayload) -> moves.DescribeAnswer:
    """What the host has of a system's data, and where it says that the data is."""
    system, users, groups, no_record = payload["system"], dict[str, int](), dict[str, int](), dict[str, Any]()
    record_names = [name for name in (os.listdir(GONE) if os.path.isdir(GONE) else ()) if name.endswith(".json")]
    version = run("rsync", "--version")[1].split("\n")[0].split()
    for name in payload["owners"]:
        with contextlib.suppress(KeyError):
            users[name] = pwd.getpwnam(name).pw_uid
        with contextlib.suppress(KeyError):
            groups[name] = grp.getgrnam(name).gr_gid
    return {
        "bytes": {path: size(path) for path in payload["paths"] if os.path.isdir(path)},
        "rsync": version[2] if version[:1] == ["rsync"] and len(version) > 2 else "",
        "held": (read(f"{HELD}/{system}.json") or no_record).get("id", ""), "away": read(f"{GONE}/{system}.json"),
        "records": {name: read(f"{GONE}/{name}") for name in record_names},
        "taken": read(f"/var/lib/infra/taken/{system}.json"), "arriving": read("/var/lib/infra/arriving.json"),
        "users": users, "groups": groups, "steps": (read("/var/lib/infra/steps.json") or no_record).get("done", []),
    }  # fmt: skip


def size(path: str) -> int:
    lines = run("du", "-sx", "--block-size=1", path, timeout=3600.0)[1].splitlines()  # files come and go meanwhile
    return next((int(n) for n, _, of in (line.partition("\t") for line in lines) if n.isdigit() and of == path), 0)


def share(payload: moves.SharePayload) -> moves.ShareAnswer:
    """Writes what rsync, started for one connection, may read: the data and nothing else."""
    with hold_lock():
        place = f"{RUN}/{payload['system']}"
        os.makedirs(place, 0o700, exist_ok=True)
        lines = ["uid = 0", "gid = 0", "use chroot = yes", "numeric ids = yes", "reverse lookup = no",
                 "log file = /dev/null", "munge symlinks = no"]  # fmt: skip
        for number, path in enumerate(payload["paths"]):
            if any(char in path for char in "\n\r%"):
                raise Failed(f"{path!r} cannot be named to rsync")
            lines += [f"[p{number}]", f"path = {path}", "read only = yes", "list = no"]
        write(f"{place}/rsyncd.conf", "\n".join([*lines, ""]), 0o600)
        write(f"{place}/program.py", payload["program"] + "\n\nby_systemd(sys.argv[1], sys.argv[2])\n", 0o600)
    return {}


def hold(payload: moves.HoldPayload) -> moves.HoldAnswer:
    """Stops the units that write, and keeps them stopped for as long as the lease is renewed. Raises Failed where one
    goes on, or something else writes: all run again then."""
    system, units = payload["system"], payload["units"]
    with hold_lock():
        if read(f"{GONE}/{system}.json"):
            raise Failed("its data is no longer on this host")
        if read(f"{HELD}/{system}.json"):
            raise Failed("another run is about to move it")
        record = cast("moves.HoldRecord", {key: payload[key] for key in NOTED} | {"running": running(units)})
        fence(system, units)
        renew_lease(system)
        write(f"{HELD}/{system}.json", json.dumps(record))
        start_watch(system)
    try:
        for account, names in by_manager(list(reversed(units))).items():
            systemctl(account, "stop", *names, timeout=STOPS)  # one that this host does not have is no fault
        if still := running(units):
            raise Failed(f"still running after the stop: {', '.join(still)}")
        if others := writers(payload["paths"]):
            raise Failed(f"its data is in use by {', '.join(others)}, which belongs to no release of this stack")
    except BaseException:
        lift({"system": system, "id": payload["id"]})
        raise
    return {"running": record["running"]}


def writers(paths: list[str]) -> list[str]:
    """What else has the data open: containers, and processes of the host (a path in a container is another)."""
    descriptions, name, own = list[str](), "", tuple(f"{path}/" for path in paths)
    if shutil.which("docker"):
        code, ids = run("docker", "ps", "--quiet", "--no-trunc")
        if code:
            raise Failed(f"docker ps: {ids.splitlines()[-1] if ids else code}")
        form = '{{.Name}}{{range .Mounts}}{{"\\n"}}  {{.Source}}{{end}}'
        for line in run("docker", "inspect", "--format", form, *ids.split())[1].splitlines() if ids else []:
            source = f"{line.strip()}/"
            if not line.startswith("  "):
                name = line.strip("/")
            elif source.startswith(own) or any(path.startswith(source) for path in own):
                descriptions.append(f"the container {name}")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            links = {entry.path: os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
            ours = [(fd, link) for fd, link in links.items() if f"{link}/".startswith(own) and os.path.exists(link)]
            if int(pid) != os.getpid() and any(os.path.samefile(fd, link) for fd, link in ours):
                with open(f"/proc/{pid}/comm", errors="replace") as file:
                    descriptions.append(f"process {pid} ({file.read().strip()})")
    return list(dict.fromkeys(descriptions))


def fence(system: str, units: list[str]) -> None:
    """Has systemd skip the units while one of the records is there, at boot too."""
    lines = [f"ConditionPathExists=!{place}/{system}.json" for place in (HELD, GONE)]
    for path in fences(system, units):
        write(path, "\n".join(["# The data of these services is on another host", "[Unit]", *lines, ""]))
    reload(units)


def fences(system: str, units: list[str]) -> list[str]:
    return [
        f"{SYSTEMD}/{'user' if account else 'system'}/{name}.d/{DROP_IN}{system}.conf"
        for account, names in by_manager(units).items()
        for name in names
    ]


def unfence(system: str, units: list[str]) -> None:
    for path in fences(system, units):
        remove(path)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))
    reload(units)


def reload(units: list[str]) -> None:
    for account in {"", *by_manager(units)}:
        systemctl(account, "daemon-reload")


def renew_lease(system: str) -> None:
    write(f"{RUN}/{system}/lease", str(time.monotonic()), 0o600)


def lease_left(system: str) -> float:
    try:
        with open(f"{RUN}/{system}/lease") as file:
            return float(file.read()) + LEASE - time.monotonic()
    except (OSError, ValueError):
        return 0.0


def start_watch(system: str) -> None:
    """A unit of its own gives the lease an end, and its own end does too."""
    program = ["/usr/bin/python3", "-I", "-B", f"{RUN}/{system}/program.py"]
    code, output = run(
        "systemd-run", "--quiet", "--collect", f"--unit=infra-moving-{system}", "--property=OOMScoreAdjust=-500",
        f"--property=ExecStopPost={' '.join([*program, 'lift', system])}", *program, "watch", system,
    )  # fmt: skip
    if code:
        remove(f"{HELD}/{system}.json")
        raise Failed(f"systemd-run: {output.splitlines()[-1] if output else code}")


def by_systemd(verb: str, system: str) -> None:
    while verb == "watch" and os.path.exists(f"{HELD}/{system}.json") and lease_left(system) > 0:
        time.sleep(1)
    with hold_lock():
        record: moves.HoldRecord | None = read(f"{HELD}/{system}.json")
        if record and (verb == "lift" or lease_left(system) <= 0):  # it may have been renewed since
            start_again(system, record, HELD)


def renew(payload: moves.MovePayload) -> moves.RenewAnswer:
    with hold_lock():
        record: moves.HoldRecord | None = read(f"{HELD}/{payload['system']}.json")
        if is_held := record is not None and record["id"] == payload["id"]:
            renew_lease(payload["system"])
        return {"held": is_held}


def commit(payload: moves.MovePayload) -> moves.CommitAnswer:
    """From here on the other host has the data: this one does not start what writes it, after a restart neither."""
    system = payload["system"]
    with hold_lock():
        handover: moves.HoldRecord | None = read(f"{GONE}/{system}.json")
        if handover:
            return {"gone": handover["id"] == payload["id"]}
        record: moves.HoldRecord | None = read(f"{HELD}/{system}.json")
        if not record or record["id"] != payload["id"] or lease_left(system) <= 0 or running(record["units"]):
            return {"gone": False}
        record["at"] = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        write(f"{GONE}/{system}.json", json.dumps(record))
        remove(f"{HELD}/{system}.json")
        return {"gone": True}


def lift(payload: moves.MovePayload) -> moves.LiftAnswer:
    """Starts again what ran, where this move had stopped it, committed or not."""
    system = payload["system"]
    with hold_lock():
        for place in (HELD, GONE):
            record: moves.HoldRecord | None = read(f"{place}/{system}.json")
            if record and record["id"] == payload["id"]:
                return {"started": start_again(system, record, place)}
    return {"started": []}


def start_again(system: str, record: moves.HoldRecord, place: str) -> list[str]:
    remove(f"{place}/{system}.json")
    unfence(system, record["units"])
    for account, names in by_manager(record["running"]).items():
        systemctl(account, "reset-failed", *names)
        systemctl(account, "start", *names, timeout=STOPS)
    return record["running"]


DO = {"describe": describe, "share": share, "hold": hold, "renew": renew, "commit": commit, "lift": lift}


def main(payload: Any) -> None:
    """Does one thing (`do`), with signs of life meanwhile: `done` is its answer, `failed` why it could not be done."""
    over = threading.Event()
    os.umask(0o022)  # an account's own manager reads the records and what is beside its units

    def breathe() -> None:
        while not over.wait(5):
            say()

    threading.Thread(target=breathe, daemon=True).start()
    try:
        say(done=DO[payload["do"]](payload))
    except BrokenPipeError:
        sys.exit(1)
    except (Failed, OSError) as error:
        say(failed=str(error))
    finally:
        over.set()
