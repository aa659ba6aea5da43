"""How often a delivery waits for the host: by the protocol, and not by time."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from benchmarks.peers.line import Line
from components.release import request
from infra import delivery
from rendering.archive import build
from rendering.files import File
from rendering.host import render
from tests.ssh_server import Server, target
from tests.support import catalogue, digests

APPLIED = {"result": {"outcome": "applied", "code": 0, "line": "applied on web1", "release": "r1"}}
EVENTS = [[{"started": "j"}, {"say": "validating"}, {"awaiting": 60, "look_at": ["https://x/health"]}], [APPLIED]]
SLACK = (
    3  # turns of a connection that depend on which of two messages is read first, such as those that close a channel
)


def delivery_of(files: int) -> dict[str, int]:
    """What a delivery of so many files takes: connections, commands on the host, and round trips after the login."""
    made = catalogue()
    text = "[Service]\nExecStart=/usr/bin/program --number {}\n"
    own = [File(f"/etc/app/{number}.conf", text.format(number).encode()) for number in range(files)]
    host = replace(render(made, "watchme", digests()), files=own)
    scripts = list(EVENTS)
    received = []

    def answer(command, payload, say):
        received.append(json.loads(payload))
        for event in scripts.pop(0):
            say(json.dumps(event))
        return 0

    server = Server(answer)
    with Line(("127.0.0.1", server.port)) as line:
        through_line = target(server, port=line.port)
        job = delivery.sending(
            through_line,
            delivery.Delivery(json.loads(request(made.stack, build(host), cast(Any, vars(through_line)), {})), None),
            lambda urls: None,
            lambda text: None,
        )
        at_login = []
        job.on_sending = lambda id: at_login.append(line.count.round_trips)
        assert job.run()["outcome"] == "applied"
        trips = line.count.round_trips - at_login[0]
        connections = line.count.connections
    server.close()
    assert len(received[0]["archive"]) > files * 20
    return {"connections": connections, "commands": len(received), "logins": server.logins, "round trips": trips}


def test_round_trips_of_a_delivery_do_not_depend_on_the_number_of_files():
    few, many = delivery_of(5), delivery_of(500)
    trips = few.pop("round trips"), many.pop("round trips")
    assert few == many == {"connections": 1, "commands": 2, "logins": 1}
    assert trips[0] == pytest.approx(trips[1], abs=SLACK) and max(trips) < 15, trips
