"""A system goes from one host of the stack to another: its data and its names, while clients ask and write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.table import address_of
from tests.product import HOST
from tests.reader import Reader, in_lab, staying
from tests.system.conftest import System
from tests.system.on import until

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
OTHER = "crate"


@pytest.fixture(scope="module")
def reader(system: System) -> Iterator[Reader]:
    with in_lab(system) as made:
        system.add("files/systems/crated.yaml", staying("crated"))
        system.set(f"infra:hosts.{OTHER}.systems[0]", "crated")
        system.set(f"infra:hosts.{OTHER}.instanceType", "t4g.small")
        made_keys = system.command("infra", "init", "--stack", "lab")
        assert made_keys.code == 0, made_keys.output
        system.must_up()
        yield made
    system.must_up()


def goes(system: System, giver: str, taker: str) -> None:
    """In the stack's configuration: each host has a system of its own too."""
    system.unset(f"infra:hosts.{giver}.systems[1]")
    system.set(f"infra:hosts.{taker}.systems[1]", "reader")


def query(system: System, host: str, text: str) -> str:
    argv = ("docker", "exec", "reader-db", "psql", "-U", "reader", "-tAc", text)
    return system.on_host(*argv, host=host).output.strip()


def has(system: System, host: str, id: str) -> bool:
    return query(system, host, f"select id from marks where id = '{id}'") == id


def mark(system: System, host: str, id: str) -> None:
    query(system, host, f"create table if not exists marks (id text primary key); insert into marks values ('{id}')")


def runs(system: System, host: str) -> set[str]:
    ran = system.on_host("docker", "ps", "--format", "{{.Names}}", host=host)
    return {name for name in ran.output.split() if name.startswith("reader")}


@contextmanager
def asked(reader: Reader) -> Iterator[list[int]]:
    """Who asks meanwhile, and the answers: data that changes hands rests for some seconds."""
    over, answers = threading.Event(), []

    def ask() -> None:
        while not over.wait(0.2):
            try:
                answers.append(reader.ask("/healthcheck")[0])
            except OSError:
                answers.append(0)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join(30)


def test_transfer_cancelled_before_the_handover_keeps_the_data(reader: Reader) -> None:
    """The other host has begun, with an empty database of its own."""
    system = reader.system
    mark(system, HOST, "precious")
    goes(system, HOST, OTHER)
    system.up_killed_at("serves meanwhile")
    goes(system, OTHER, HOST)
    system.must_up()
    assert has(system, HOST, "precious") and runs(system, HOST) and not runs(system, OTHER)
    assert reader.ask("/healthcheck") == (200, b"OK")


def test_system_is_transferred_with_its_data_and_back(reader: Reader) -> None:
    system = reader.system
    before = address_of(reader.name, system.lab.dns)
    mark(system, HOST, "first")
    goes(system, HOST, OTHER)
    shown = system.command("infra", "preview", "--stack", "lab")
    assert f"reader from {HOST} to {OTHER} in" in shown.output, shown.output
    with asked(reader) as answers:
        said = system.must_up()
    assert "in use; stopped for" in said and "gate ap-northeast-1" in said
    assert address_of(reader.name, system.lab.dns) != before and has(system, OTHER, "first")
    assert runs(system, HOST) == set() and reader.ask("/healthcheck") == (200, b"OK")
    status = system.command("infra", "status", "--stack", "lab", "--host", HOST).output
    assert "resting" not in status, status
    # While the data changes hands there is an answer, and soon it is a good one again
    assert answers[-1] == 200 and answers.count(200) > len(answers) / 2, answers
    # What the host that gave it may do in AWS goes with the next update
    system.must_up()
    assert system.pulumi("preview", "--expect-no-changes").code == 0
    mark(system, OTHER, "second")
    goes(system, OTHER, HOST)
    system.must_up()
    assert has(system, HOST, "first") and has(system, HOST, "second") and runs(system, OTHER) == set()
    assert address_of(reader.name, system.lab.dns) == before and reader.ask("/healthcheck") == (200, b"OK")


def test_killed_and_cancelled_transfer_leaves_one_owner(reader: Reader) -> None:
    system = reader.system
    for number, moment in enumerate(["serves meanwhile", "stops what writes", "moved and in use"]):
        mark(system, HOST, f"kill{number}")
        goes(system, HOST, OTHER)
        system.up_killed_at(moment)
        until(
            "one host writes",
            lambda id=f"kill{number}": sum(has(system, host, id) for host in (HOST, OTHER)) == 1,
            90,
        )
        # Given up: what has moved already comes back
        goes(system, OTHER, HOST)
        system.must_up()
        assert has(system, HOST, f"kill{number}") and runs(system, HOST) and not runs(system, OTHER)
        assert reader.ask("/healthcheck") == (200, b"OK")
