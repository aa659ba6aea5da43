"""A region move takes the files of a product without a container along, and what it runs from: its artefact and its
environment. A client writes all the time, and nothing whose arrival was confirmed is missing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

import pytest

from tests.dav import EVENT, FIRST, Dav, in_lab
from tests.moves.on import goes_to, must_move, opposite, other_region, points_to, stays_in
from tests.product import HOST
from tests.system.conftest import System
from tests.system.on import until

pytestmark = [pytest.mark.lab, pytest.mark.nightly]


@pytest.fixture(scope="module")
def dav(sydney: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dav]:
    other_region(sydney)
    with in_lab(sydney, tmp_path_factory.mktemp("dav")) as made:
        refused = sydney.up()
        assert refused.code != 0 and "dav-wheels" in refused.output, refused.output
        made.push(FIRST)
        sydney.must_up()
        assert made.request("MKCALENDAR", "/me/work/")[0] == 201
        yield made
        stays_in(sydney)


def runs(dav: Dav, region: str) -> bool:
    ran = dav.system.on_host("systemctl", "is-active", "radicale", host=HOST, region=region)
    return ran.output.strip() == "active"


@contextmanager
def writing(dav: Dav, name: str) -> Iterator[set[str]]:
    """A client that adds one event after the other; those whose arrival was confirmed."""
    confirmed: set[str] = set()
    is_over = threading.Event()

    def write() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            uid = f"{name}{number}"
            try:
                path, body = f"/me/work/{uid}.ics", EVENT.format(uid=uid).replace("\n", "\r\n")
                if dav.request("PUT", path, body)[0] == 201:
                    confirmed.add(uid)
            except (OSError, AssertionError):
                # No service, or no name, for a moment: what is counted is what was confirmed
                pass
            sleep(0.2)

    client = threading.Thread(target=write, daemon=True)
    client.start()
    try:
        yield confirmed
    finally:
        is_over.set()
        client.join(30)


def test_a_move_takes_files_artefact_and_environment_along(dav: Dav) -> None:
    here = points_to(dav.system)
    assert here
    with writing(dav, "first") as confirmed:
        until("the client writes", lambda: len(confirmed) > 3, 30)
        said = must_move(dav.system, opposite(here))
        written = len(confirmed)
        until("the client writes to the new host", lambda: len(confirmed) > written + 3, 90)
    assert "in use; stopped for" in said, said
    assert confirmed <= set(dav.events()), "an event that was confirmed is missing"
    assert runs(dav, opposite(here)) and not runs(dav, here)
    assert dav.is_asked()
    assert dav.system.pulumi("preview", "--expect-no-changes").code == 0


def test_killed_native_move_leaves_one_writer_and_continues(dav: Dav) -> None:
    source = points_to(dav.system)
    assert source
    target = opposite(source)
    goes_to(dav.system, target, source)
    with writing(dav, "second") as confirmed:
        dav.system.up_killed_at("stops the services that write")
        until("one host writes", lambda: runs(dav, target) != runs(dav, source), 90)
        must_move(dav.system, target)
        written = len(confirmed)
        until("the client writes to the new host", lambda: len(confirmed) > written + 3, 90)
    assert confirmed <= set(dav.events()), "an event that was confirmed is missing"
    assert runs(dav, target) and not runs(dav, source)
