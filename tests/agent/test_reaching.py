"""Containers that reach further, on a host: ports of the world, and the host's own network."""

import pytest

from agent.monitor.conditions import firing
from agent.monitor.look import HostFacts
from agent.world import Ran
from tests.agent.conditions import watchme
from tests.agent.releases import applied, release, serving, world_for
from tests.agent.stored import current
from tests.catalogue.containers import having
from tests.catalogue.reaching import HOST, PUBLIC

LISTENS = "LISTEN 0 128 {at} 0.0.0.0:*\n"
TAKEN = 'users:(("postfix",pid=7,fd=3))'
MAIL = having(publish=["25", "3001", "51820/udp"], exceptions=PUBLIC)


def listening(world, *places):
    world.answers["ss -Hltn"] = Ran(0, "".join(LISTENS.format(at=at) for at in places))
    return [result.text for result in firing(HostFacts(world, current(world)))]


def test_what_the_catalogue_publishes_fires_nothing():
    assert listening(watchme(MAIL), "0.0.0.0:25", "[::]:3001", "0.0.0.0:3001") == []


def test_another_port_for_the_world_fires():
    [said] = listening(watchme(MAIL), "0.0.0.0:3001", "0.0.0.0:8017")
    assert "port 8017 of ast-api" in said


def test_in_the_hosts_network_a_container_is_where_it_should_be():
    """Neither its network nor its ports are looked for."""
    world = watchme(having(**HOST))
    assert listening(world, "0.0.0.0:3001") == []
    world.docker.containers["watchme-web-prod"].clear()
    assert listening(world) == []


@pytest.mark.parametrize(
    ("port", "said"),
    [(25, "port 25 of web is taken"), (-51820, "port 51820/udp of web is taken"), (51820, None), (-25, None)],
)
def test_a_public_port_that_is_taken_refuses_the_release(port, said):
    made = release(MAIL)
    world = world_for(made)
    world.listening[port] = TAKEN
    outcome = applied(world, made)
    if said:
        assert outcome.outcome == "refused" and said in outcome.line and TAKEN in outcome.line
    else:
        assert outcome.outcome == "applied"


def test_its_own_container_may_hold_a_new_public_port():
    """Nothing is taken of what the present release publishes."""
    made = release(MAIL)
    world = serving(made)
    world.listening |= {25: TAKEN, -51820: TAKEN}
    more = release(having(publish=["25", "3001", "51820/udp"], exceptions=PUBLIC, memory={"limit": "150m"}))
    assert applied(world, more).outcome == "applied"
