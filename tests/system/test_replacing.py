"""Another machine for a host in the region where it serves: under load, back, with data, killed, given up."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from lab.run import run
from lab.table import address_of
from tests.moves.on import NAME, runs, turns
from tests.moves.traffic import Clients
from tests.product import HOST
from tests.reader import Reader, in_lab
from tests.system.conftest import System
from tests.system.on import REGION, ec2, until, wait_until_well

pytestmark = pytest.mark.lab
CHECK = 12  # seconds: infra:singleCheck of stack lab


def machines(system: System, host: str) -> dict[str, str]:
    """Public address → container, of the machines that are there."""
    filters = [{"Name": "tag:Name", "Values": [f"lab-{host}"]}, {"Name": "instance-state-name", "Values": ["running"]}]
    found = ec2(system, REGION).describe_instances(Filters=filters)["Reservations"]
    return {
        entry["PublicIpAddress"]: f"wml-{system.lab.name}-{entry['InstanceId']}"
        for reservation in found
        for entry in reservation["Instances"]
    }


def serves(system: System, name: str, host: str) -> str:
    """The container of the machine that a name points to."""
    return machines(system, host)[address_of(name, system.lab.dns)]


def replaced(system: System, host: str, *words: str) -> str:
    ran = system.command("infra", "host", "replace", host, "--yes", "--stack", "lab", *words)
    assert ran.code == 0, ran.output
    return ran.output


@pytest.mark.nightly
def test_host_is_replaced_and_returned_without_a_lost_request(watchme: System) -> None:
    old = serves(watchme, NAME, "watchme")
    until("the scheduler", lambda: watchme.lab.path("run", "runs").exists())
    began = len(runs(watchme))
    clients = Clients(watchme)
    with clients.going():
        said = replaced(watchme, "watchme")
        assert "runs on machine 1 (t4g.large)" in said and "gate ap-northeast-1" in said
        new = serves(watchme, NAME, "watchme")
        assert new != old and set(machines(watchme, "watchme").values()) == {old, new}
        # What is kept gets no release, and an update that changes nothing touches neither
        kept = watchme.pulumi("preview", "--expect-no-changes")
        assert kept.code == 0, kept.output
        status = watchme.command("infra", "status", "--stack", "lab", "--host", "watchme").output
        assert "keeps machine 1 (t4g.large)" in status, status
        until("the scheduler's turn", lambda: runs(watchme)[-1][1] == hostname(new), 3 * CHECK)
        replaced(watchme, "watchme", "--back")
        assert serves(watchme, NAME, "watchme") == old
        gone = watchme.command("infra", "host", "retire", "watchme", "--yes", "--stack", "lab")
        assert gone.code == 0 and "drain" in gone.output, gone.output
        assert [*machines(watchme, "watchme").values()] == [old]
        until("the scheduler's turn", lambda: runs(watchme)[-1][1] == hostname(old), 3 * CHECK)
    assert clients.failed == [] and len(clients.served) == 2, clients.served
    # One after the other, and never two at a time
    ran = [machine for machine, _, _ in turns(runs(watchme)[began:])]
    assert ran == [hostname(old), hostname(new), hostname(old)]
    wait_until_well(watchme)


def hostname(container: str) -> str:
    return container.removeprefix("wml-").split("-", 1)[-1]


@pytest.fixture(scope="module")
def reader(system: System) -> Iterator[Reader]:
    with in_lab(system) as made:
        system.must_up()
        yield made
    system.must_up()


def query(reader: Reader, container: str, text: str) -> str:
    return run("docker", "exec", container, "docker", "exec", "reader-db", "psql", "-U", "reader", "-tAc", text).strip()


def writes(container: str) -> bool:
    return "reader-db" in run("docker", "exec", container, "docker", "ps", "--format", "{{.Names}}").split()


def mark(reader: Reader, container: str, id: str) -> None:
    """What no other database has."""
    query(
        reader, container, f"create table if not exists marks (id text primary key); insert into marks values ('{id}')"
    )


def has(container: str, id: str) -> bool:
    """Does a database run there that has the mark: a new machine runs an empty one until its data comes."""
    asked = f"select id from marks where id = '{id}'"
    argv = ("docker", "exec", container, "docker", "exec", "reader-db", "psql", "-U", "reader", "-tAc", asked)
    return subprocess.run(argv, text=True, capture_output=True, check=False, timeout=60).stdout.strip() == id


def marks(reader: Reader, container: str) -> set[str]:
    return set(query(reader, container, "select id from marks").split())


@pytest.mark.nightly
def test_replacement_moves_the_data_there_and_back(reader: Reader) -> None:
    system = reader.system
    old = serves(system, reader.name, HOST)
    mark(reader, old, "first")
    said = replaced(system, HOST, "--type", "t4g.medium")
    assert "in use; stopped for" in said and "its data is moved" in said
    new = serves(system, reader.name, HOST)
    assert marks(reader, new) == {"first"} and writes(new) and not writes(old)
    # A boot of the machine that is kept starts nothing that writes
    run("docker", "exec", old, "systemctl", "start", "reader-db.service")
    assert not writes(old)
    mark(reader, new, "second")
    said = replaced(system, HOST, "--back")
    assert serves(system, reader.name, HOST) == old and marks(reader, old) == {"first", "second"}
    assert writes(old) and not writes(new) and reader.ask("/healthcheck") == (200, b"OK")
    config = json.loads(system.pulumi("config", "--json").output)["infra:hosts"]["objectValue"][HOST]
    assert config["instanceType"] == "t4g.small" and config["kept"] == [{"generation": 2, "instanceType": "t4g.medium"}]
    gone = system.command("infra", "host", "retire", HOST, "--yes", "--stack", "lab")
    assert gone.code == 0, gone.output
    assert [*machines(system, HOST).values()] == [old] and marks(reader, old) == {"first", "second"}
    assert system.pulumi("preview", "--expect-no-changes").code == 0


@pytest.mark.nightly
def test_killed_replacement_leaves_one_writer_and_continues(reader: Reader) -> None:
    system = reader.system
    for number, moment in enumerate(["serves meanwhile", "stops what writes", "moved and in use", "names updated"]):
        old = serves(system, reader.name, HOST)
        mark(reader, old, f"kill{number}")
        generation = json.loads(system.pulumi("stack", "output", "generations", "--json").output).get(HOST, 1)
        system.set(f"infra:hosts.{HOST}.generation", str(generation + 1))
        system.up_killed_at(moment if moment != "names updated" else f"{reader.name} updated")
        # The lease of an update that is gone ends by itself
        until(
            "one machine writes",
            lambda id=f"kill{number}": sum(has(machine, id) for machine in machines(system, HOST).values()) == 1,
            90,
        )
        replaced(system, HOST, "--retire")
        new = serves(system, reader.name, HOST)
        assert new != old and [*machines(system, HOST).values()] == [new] and writes(new)
        assert f"kill{number}" in marks(reader, new)
    assert reader.ask("/healthcheck") == (200, b"OK")


@pytest.mark.nightly
def test_failed_replacement_is_cancelled_and_the_old_machine_serves(reader: Reader) -> None:
    system = reader.system
    old = serves(system, reader.name, HOST)
    mark(reader, old, "given-up")
    broken = "mv /usr/bin/rsync /usr/bin/rsync.away"
    run("docker", "exec", old, "sh", "-c", broken)
    try:
        ran = system.command("infra", "host", "replace", HOST, "--yes", "--stack", "lab")
    finally:
        run("docker", "exec", old, "mv", "/usr/bin/rsync.away", "/usr/bin/rsync")
    assert ran.code == 1 and "has no rsync, which the data is copied with" in ran.output, ran.output
    assert f"Cancel: uv run infra host replace {HOST} --give-up --stack lab" in ran.output
    assert writes(old) and reader.ask("/healthcheck") == (200, b"OK")
    said = replaced(system, HOST, "--give-up")
    assert f"{HOST} of stack lab runs on machine" in said
    assert [*machines(system, HOST).values()] == [old] and "given-up" in marks(reader, old)
    assert system.pulumi("preview", "--expect-no-changes").code == 0
