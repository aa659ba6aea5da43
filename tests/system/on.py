"""Looking at native units on a host of the lab."""

from collections.abc import Callable
from time import monotonic, sleep

from tests.system.conftest import System


def shown(system: System, host: str, unit: str, *fields: str, account: str | None = None) -> dict[str, str]:
    """Fields of a unit as its manager has them in force."""
    words = [word for field in fields for word in ("-p", field)]
    output = systemctl(system, host, "show", *words, unit, account=account)
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def systemctl(system: System, host: str, *words: str, account: str | None = None) -> str:
    """What a manager says, the host's own or an account's."""
    own = ["systemctl", *words]
    if account:
        uid = system.on_host("id", "-u", account, host=host).output
        place = f"XDG_RUNTIME_DIR=/run/user/{uid}"
        own = ["runuser", "-u", account, "--", "env", place, "systemctl", "--user", *words]
    return system.on_host(*own, host=host).output


def main_pid(system: System, host: str, unit: str, account: str | None = None) -> str:
    return shown(system, host, unit, "MainPID", account=account)["MainPID"]


def until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, f"{what} did not happen within {seconds:.0f} s"
        sleep(0.5)


def write(system: System, host: str, unit: str, path: str, account: str) -> str:
    """What the kernel says when a program in the unit's own mounts, with its account's rights, creates a file."""
    pid = main_pid(system, host, unit)
    return system.on_host("nsenter", "-t", pid, "-m", "runuser", "-u", account, "--", "touch", path, host=host).output
