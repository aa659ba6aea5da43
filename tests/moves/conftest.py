"""A lab of its own for moves: WatchMe on one host in Sydney, which was made by hand and the program took over. Tokyo is
as empty as it was for its owners."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import machine, rehearse, up
from lab.run import run
from lab.settings import ROOT, Lab
from tests import handmade, journals
from tests.moves.on import SYDNEY
from tests.system.conftest import System, copy_project, must_be_possible, what_is_left

# Several can be tested in at once: see tests/labs.py
_NAME, _NUMBER = os.environ.get("TESTS_LAB", "moves:73").split(":")
LAB = Lab(_NAME, int(_NUMBER), ROOT / f".lab-{_NAME}")


@dataclass
class Read:
    """What `infra adopt host` said of the machine, and what the machine was before and after that."""

    said: str
    yaml: str
    before: str
    after: str


@dataclass
class Adopted:
    """What was made by hand, what `infra adopt host` and `infra adopt aws` said, the steps that `pulumi preview` then
    had, and the update."""

    system: System
    made: handmade.HandMade
    read: "Read"
    said: str
    steps: list[dict[str, Any]]
    up: str


@pytest.fixture(scope="session")
def adopted() -> Iterator[Adopted]:
    """What an earlier or killed run left goes first, and everything goes at the end."""
    must_be_possible()
    up.clear(LAB, take_over=True)
    project = LAB.path("project")
    system = System(LAB, project)
    try:
        with journals.said_on_failure(LAB.name, LAB.path("run")):
            up.start(LAB, filled=[SYDNEY])
            copy_project(project)
            rehearse.away(LAB, project)
            system.set("infra:repairs", "false")
            made = handmade.make(LAB, project, SYDNEY)
            read = read_off(system, made)
            ran = adopt(system, made)
            assert ran.code == 0, ran.output
            preview = system.pulumi("preview", "--json")
            assert preview.code == 0, preview.output
            steps = json.loads(preview.output[preview.output.index("{") :])["steps"]
            updated = system.must_up()
        yield Adopted(system, made, read, ran.output, steps, updated)
    finally:
        up.clear(LAB)
        left = what_is_left(LAB)
        machine.stop_docker()
    assert not left, f"clearing up leaves behind: {left}"


def adopt(system: System, made: handmade.HandMade):
    owner = ["--user", "ubuntu", "--identity", str(made.identity)]
    return system.command("infra", "adopt", "aws", "--region", SYDNEY, "--stack", "lab", "--yes", *owner)


# Every file with its content, owner and time of change but for logs and what the kernel and systemd count; what Docker
# and systemd say of what runs, and since when
STATE = """
find /etc /home /opt /root /srv /usr/local /var/lib/docker/containers /var/lib/docker/network /var/spool \
    /var/lib/systemd /var/lib/letsencrypt -type f ! -name '*.log' ! -path '/var/lib/systemd/timers/*' \
    -printf '%p %m %u %g %T@ ' -exec sha256sum {} ';' | sort
find /etc /home /opt /root /srv /usr/local -type l -printf '%p -> %l\\n' | sort
docker ps --all --no-trunc --format '{{.ID}} {{.Image}} {{.Names}} {{.Ports}}' | sort
docker inspect --format '{{.Name}} {{.State.StartedAt}} {{.RestartCount}} {{json .Config}}' $(docker ps -aq) | sort
docker image ls --all --no-trunc --format '{{.ID}} {{.Repository}} {{.Tag}}' | sort
docker network ls --no-trunc --format '{{.ID}} {{.Name}}' | sort
docker volume ls --format '{{.Name}}' | sort
"""
UNITS = "systemctl show --property=Id,ActiveState,SubState,UnitFileState,ActiveEnterTimestamp,NRestarts '*.service' '*.timer'"
# systemd starts them for each login
OF_A_LOGIN = ("Id=user@", "Id=user-runtime-dir@")


def read_off(system: System, made: handmade.HandMade) -> Read:
    """Reads the machine as its owner would, and looks at it before and after."""
    file = system.project / "read-off.yaml"
    before = state(made.container)
    owner = ["--user", "ubuntu", "--identity", str(made.identity), "--yes"]
    options = ["--host", "watchme", "--system", "watchme", "--write", str(file), "--diff"]
    ran = system.command("infra", "adopt", "host", made.address, "--stack", "lab", *owner, *options)
    assert ran.code == 0, ran.output
    return Read(ran.output, file.read_text(), before, state(made.container))


def state(container: str) -> str:
    files, units = (run("docker", "exec", container, "sh", "-ec", script) for script in (STATE, UNITS))
    blocks = [block for block in units.strip().split("\n\n") if not any(login in block for login in OF_A_LOGIN)]
    return "\n".join([files, *sorted(blocks)])


@pytest.fixture(scope="session")
def sydney(adopted: Adopted) -> System:
    """A stack that serves from Sydney when the first test begins."""
    return adopted.system
