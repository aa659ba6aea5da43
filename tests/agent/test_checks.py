"""Health that is not asked by HTTP, and data that an image would lose, on a host in memory."""

import time

import pytest

from agent import checks
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, release, serving, world_for
from tests.catalogue.changes import both, configured, setting
from tests.catalogue.containers import DATA, with_database

SECRETS = configured(secrets={"db": {"POSTGRES_PASSWORD": "x"}})
HEALTHY = {"Health": {"Status": "healthy"}}


def with_tcp(data):
    both(with_database, setting("worker", port=8050, health="tcp"))(data)


def made(change=with_database, version=1):
    return release(change, SECRETS, version)


def world(change=with_database):
    found = world_for(made(change))
    found.docker.right = made(change).manifest
    found.docker.make()
    found.docker.states["db"] = dict(HEALTHY)
    return found


def first(found, change=with_database):
    return applied(found, made(change), {"db": {"POSTGRES_PASSWORD": "x"}})


def written(seconds_ago: float, at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime(at - seconds_ago))


def test_a_database_is_healthy_when_docker_says_so():
    outcome = first(world())
    assert outcome.outcome == "applied", outcome.line
    assert outcome.services["db"] == 200 and outcome.services["worker"] == 200


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            {"Health": {"Status": "unhealthy", "Log": [{"ExitCode": 2, "Output": "no response\n"}]}},
            "its health check ended with 2: no response",
        ),
        ({"Health": {"Status": "starting", "Log": []}}, "has not been checked yet"),
        ({}, "has no health check: its image defines none"),
        ({"Running": False, "ExitCode": 137, **HEALTHY}, "is not running: the container ended with code 137"),
    ],
)
def test_container_that_stays_unhealthy_is_rolled_back_with_the_reason(state, said):
    found = world()
    found.docker.states["db"] = state
    outcome = first(found)
    assert outcome.outcome == "rolled back" and f"db (db.service) {said}" in outcome.line, outcome.line


ODD = [
    {"Running": "true"}, {"Running": True, "Health": ["a"]}, {"Running": True, "Health": {"Status": "starting", "Log": [None]}},
    {"Running": True, "Health": {"Status": "unhealthy", "Log": {"a": 1}}}, {"Paused": True, **HEALTHY}, {"Restarting": True, **HEALTHY},
    {"Health": {"Status": "unhealthy", "Log": [{"ExitCode": "\x1b[2J", "Output": {"a": 1}}]}}, {"Health": None},
]  # fmt: skip


@pytest.mark.parametrize("state", ODD, ids=range(len(ODD)))
def test_an_odd_answer_is_no_health(state):
    found = world()
    found.docker.states["db"] = state
    assert (
        "\x1b" not in checks.fault(found, "container://db/health")
        and checks.status(found, "container://db/health") == 0
    )


@pytest.mark.parametrize("answer", [b"null", b"[]", b"5", b'{"State": null}', b"x", b"[" * 100_000, b""])
def test_an_answer_that_cannot_be_read_is_no_health(answer):
    found = world()
    found.docker_has = lambda path, timeout=10: answer
    for url in ("container://db/health", "container://db"):
        assert checks.fault(found, url)


def test_a_check_cannot_write_to_a_terminal():
    found = world()
    found.docker.states["db"] = {"Health": {"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": "\x1b[2Jgone"}]}}
    assert "\x1b" not in first(found).line


def test_a_worker_has_to_stay_up():
    found = world()
    found.docker.states["worker"] = {"StartedAt": written(4, found.wall())}
    outcome = first(found)
    assert outcome.outcome == "rolled back" and "has been up for 4 s, and counts as healthy after 10 s" in outcome.line
    found.docker.states["worker"] = {"StartedAt": written(11, found.wall())}
    assert first(found).outcome == "applied"


@pytest.mark.parametrize("text", [written(-3600, 1.8e9), "0001-01-01T00:00:00Z", "", "gestern"])
def test_container_without_a_start_time_is_not_a_failure(text):
    found = world()
    found.docker.states["worker"] = {"StartedAt": text}
    assert checks.fault(found, "container://worker") == ""


def test_a_port_that_takes_connections():
    found = world(with_tcp)
    assert first(found, with_tcp).outcome == "applied"
    found.reachable_address = lambda name, port: "" if port == 8050 else "127.0.0.1"
    outcome = applied(found, made(with_tcp, 2), {"db": {"POSTGRES_PASSWORD": "x"}})
    assert (
        outcome.outcome.startswith("rol")
        and "worker (worker.service) accepts no connection at port 8050" in outcome.line
    )


def test_an_image_that_declares_a_place_for_data_needs_something_there():
    found, release_ = world(), made()
    image = next(entry["image"] for entry in release_.manifest["containers"] if entry["name"] == "worker")
    found.docker.declared[image] = {"/var/cache/app": {}, "/outbox": {}}
    outcome = first(found)
    assert outcome.outcome == "refused" and "nothing touched" in outcome.line
    assert "worker: /var/cache/app (volumes: [worker-data:/var/cache/app], or tmpfs: [/var/cache/app]" in outcome.line
    assert "worker: /outbox" not in outcome.line


def test_a_place_below_a_volume_is_kept():
    found, release_ = world(), made()
    image = next(entry["image"] for entry in release_.manifest["containers"] if entry["name"] == "db")
    found.docker.declared[image] = {f"{DATA}/pgdata": {}}
    assert first(found).outcome == "applied"


@pytest.mark.parametrize("answer", [b"null", b"[]", b'{"Config": 5}', b"x", b'{"Config": {"Volumes": 5}}'])
def test_release_is_refused_when_the_description_of_an_image_is_unreadable(answer):
    found, asked = world(), FakeWorld.docker_has
    found.docker_has = lambda path, timeout=10: answer if path.startswith("/images/") else asked(found, path, timeout)
    outcome = first(found)
    assert outcome.outcome == "refused" and "cannot be read" in outcome.line


def test_earlier_release_without_mounts_has_no_complaint():
    found = serving(release())
    manifest = {"containers": [{"name": "x", "service": "x"}]}
    from agent import image_volumes
    from agent.store import Release

    image_volumes.check(found, Release("0", manifest, []))
