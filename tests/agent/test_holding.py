"""Requests that wait while their service restarts, on a host in memory."""

import copy
from dataclasses import replace
from itertools import groupby

import pytest

from agent import holding, store, transaction
from agent.apply import go_back
from agent.proxies import nginx
from agent.world import CommandResult
from tests.agent.releases import AVATAR, JOB, applied, bigger, gone_back, killed_at_each_change, release, serving
from tests.catalogue.changes import both, setting

NAME = "avatar-uploader"
UNIT = "watchme-avatar-uploader.service"
LINK, PORT = f"/etc/nginx/conf.d/service-{NAME}.conf", 8014
SERVING, WAITING = (f"/etc/nginx/upstreams/{NAME}.{kind}" for kind in ("serving", "waiting"))
CLOSED = f"{holding.PLACE}/{NAME}.closed"
SETTINGS = f"{holding.PLACE}/{NAME}.env"
SOCKET, LEADING = f"infra-waiting@{NAME}.socket", f"infra-waiting@{NAME}.service"
RELOAD = "systemctl try-reload-or-restart nginx"
DRAIN = f"ss -Htn state established dport = :{PORT}"
BEFORE, AFTER = release(), release(bigger)


def host(*made):
    world = serving(*made or (BEFORE,))
    world.there.add(holding.PROGRAM)
    world.answers["systemctl is-active infra-waiting"] = CommandResult(3, "inactive")
    return world


def new(world):
    return b"300m" in world.files[AVATAR][0]


def seen(world):
    """All that programs see, but for the places that nothing leads to: their settings and sockets."""
    files, links, active, enabled, directories = world.seen_by_programs()
    directories = {path: one for path, one in directories.items() if path != holding.PLACE}
    files = {path: one for path, one in files.items() if not path.startswith(holding.PLACE)}
    return [files, links, {unit for unit in active if not unit.startswith("infra-waiting@")}, enabled, directories]


def watched(world, made):
    """How a release ends, and at each question whether requests wait then, and whether it is asked through the proxy."""
    questions = []
    before = world.web

    def web(url):
        questions.append((url, world.links[LINK] == WAITING, CLOSED in world.files))
        return before(url)

    world.web = web
    outcome = applied(world, made)
    world.web = before
    return outcome, questions


def test_requests_wait_from_the_stop_until_the_service_is_healthy():
    world = host()
    outcome, questions = watched(world, AFTER)
    assert outcome.outcome == "applied" and outcome.restarted == [UNIT], outcome.line
    steps = [f"systemctl start {SOCKET}", RELOAD, DRAIN, f"systemctl stop {UNIT}", f"systemctl restart {UNIT}"]
    places = [world.ran.index(step) for step in steps]
    assert places == sorted(places) and world.ran.count(RELOAD) == 2
    own = [waits for url, waits, _ in questions if f"127.0.0.1:{PORT}/" in url]
    assert own.count(True) >= 3, "its own port is asked while they wait"
    through_proxy = [waits for url, waits, closed in questions if "/avatar/" in url]
    assert not any(through_proxy[1:]), "and the proxy once they do not"
    assert world.links[LINK] == SERVING and CLOSED not in world.files
    until = int(world.files[SETTINGS][0].decode().split("UNTIL=")[1])
    assert world.files[SETTINGS][0].startswith(f"PORT={PORT}\n".encode())
    # What ends has its time too
    assert 45 + 10 - 5 < until - world.wall() <= 45 + 10


def test_other_services_are_served_during_the_hold():
    world = host()
    others = {link: target for link, target in world.links.items() if link.startswith("/etc/nginx/") and link != LINK}
    assert applied(world, AFTER).outcome == "applied" and len(others) > 10
    assert others.items() <= world.links.items()
    assert not [path for path in world.files if path.startswith(holding.PLACE) and NAME not in path]


def test_requests_wait_until_an_unhealthy_release_is_rolled_back():
    world = host()
    before = seen(world)
    world.web = lambda url: 503 if f":{PORT}/" in url and new(world) else 200
    outcome, questions = watched(world, AFTER)
    assert outcome.outcome == "rolled back" and NAME in outcome.line, outcome.line
    assert seen(world) == before and world.links[LINK] == SERVING and CLOSED not in world.files
    own = [waits for url, waits, _ in questions if f":{PORT}/" in url]
    assert own.count(True) > 5 and [waits for url, waits, _ in questions if "/avatar/" in url][-1] is False
    last = max(n for n, command in enumerate(world.ran) if command == f"systemctl restart {UNIT}")
    assert RELOAD in world.ran[last:], "led to it again once the earlier one answers"


def test_requests_wait_again_when_the_release_fails_after_the_hold():
    world = host()
    world.web = lambda url: 503 if "/avatar/" in url and new(world) else 200
    outcome, questions = watched(world, AFTER)
    assert outcome.outcome == "rolled back", outcome.line
    assert [waits for waits, _ in groupby(waits for _, waits, _ in questions)].count(True) == 2
    assert world.links[LINK] == SERVING and CLOSED not in world.files


@pytest.mark.parametrize("is_unhealthy", [False, True])
def test_killed_job_leaves_no_request_waiting(is_unhealthy):
    start = host()
    before = seen(start)
    finished = copy.deepcopy(start)
    applied(finished, AFTER)
    after = seen(finished)

    def web(world):
        return lambda url: 503 if is_unhealthy and f":{PORT}/" in url and new(world) else 200

    number = 0
    for number, world in enumerate(killed_at_each_change(start, AFTER, web), 1):
        assert transaction.load_unfinished(world) is None
        assert world.links[LINK] == SERVING and CLOSED not in world.files, number
        assert seen(world) == (after if store.current_id(world) == AFTER.id else before), number
    assert number > 20


@pytest.mark.parametrize("lacks", ["the program", "a socket that starts", "a proxy that knows the place"])
def test_service_restarts_normally_when_a_hold_is_impossible(lacks):
    world = host()
    if lacks == "the program":
        world.there.discard(holding.PROGRAM)
    elif lacks == "a socket that starts":
        world.answers[f"systemctl start {SOCKET}"] = CommandResult(1, "Failed to start")
    else:
        world.links.pop(LINK)
    outcome = applied(world, AFTER)
    assert outcome.outcome == "applied" and outcome.restarted == [UNIT], outcome.line
    assert world.links[LINK] == SERVING and CLOSED not in world.files and DRAIN not in world.ran


def test_introducing_a_hold_restarts_nothing():
    old = release(setting(NAME, hold=0))
    world = host(old)
    assert LINK not in world.links
    outcome = applied(world, BEFORE)
    assert outcome.outcome == "applied" and outcome.restarted == [] and world.links[LINK] == SERVING
    assert RELOAD in world.ran and f"systemctl start {SOCKET}" not in world.ran


def test_failed_preparation_of_a_hold_does_not_fail_the_release():
    """A proxy that reads no configuration now may read that of the release."""
    world = host()
    run, failed = world.run, []

    def ran(*argv, **options):
        if " ".join(argv) == RELOAD and not failed:
            failed.append(True)
            return CommandResult(1, "nginx: [emerg] a file by hand")
        return run(*argv, **options)

    world.run = ran
    assert applied(world, AFTER).outcome == "applied" and failed
    assert world.links[LINK] == SERVING and CLOSED not in world.files


def test_a_link_that_was_edited_by_hand_stays():
    world = host()
    world.links[LINK] = "/etc/nginx/by-hand.conf"
    outcome = gone_back_to_itself(world)
    assert outcome.outcome == "applied" and world.links[LINK] == "/etc/nginx/by-hand.conf"


def gone_back_to_itself(world):
    job = replace(JOB, kind="restart", only=(NAME,))
    return go_back(world, job, BEFORE.id)


def test_several_end_their_requests_at_the_same_time():
    """And not one after the other, while the first of them waits."""
    names = ["avatar-uploader", "vault-api", "admin", "web"]
    change = both(*(setting(name, environment={"A": "1"}) for name in names))
    world = host()
    world.answers["ss -Htn"] = CommandResult(0, "0 0 127.0.0.1:40000 127.0.0.1:8000")
    start, stops = world.clock, []
    run = world.run

    def ran(*argv, **options):
        if argv[:2] == ("systemctl", "stop") and UNIT in argv:
            stops.append(world.clock - start)
        return run(*argv, **options)

    world.run = ran
    assert applied(world, release(change)).outcome == "applied" and 10 <= stops[0] < 20


def test_requests_wait_when_the_unit_of_a_service_changes():
    moved = release(setting(NAME, unit="avatar-two.service"))
    world = host()
    outcome, questions = watched(world, moved)
    assert outcome.outcome == "applied" and f"systemctl start {SOCKET}" in world.ran
    assert any(waits for url, waits, _ in questions if f":{PORT}/" in url) and world.links[LINK] == SERVING


def test_unreadable_earlier_release_leaves_no_request_waiting():
    world = host()
    manifest = f"/var/lib/infra/releases/{BEFORE.id}/manifest.json"
    world.web = lambda url: 503 if f":{PORT}/" in url and (new(world) and not world.files.pop(manifest, None)) else 200
    applied(world, AFTER)
    assert world.links[LINK] == SERVING and CLOSED not in world.files


def test_zero_hold_lets_no_request_wait():
    changed = both(bigger, setting(NAME, hold=0))
    world = host(release(setting(NAME, hold=0)))
    assert applied(world, release(changed)).outcome == "applied" and LINK not in world.links
    assert f"systemctl start {SOCKET}" not in world.ran


def test_waiting_requests_follow_a_changed_port_and_its_rollback():
    moved = release(setting(NAME, port=8044, container_port=8014))
    world = host()
    assert applied(world, moved).outcome == "applied"
    assert b"PORT=8044\n" in world.files[SETTINGS][0] and DRAIN in world.ran
    assert world.links[LINK] == SERVING and b"127.0.0.1:8044" in world.files[SERVING][0]
    world.web = lambda url: 503 if ":8014/" in url else 200
    assert gone_back(world, BEFORE.id).outcome == "rolled back"
    assert b"PORT=8044\n" in world.files[SETTINGS][0] and b"127.0.0.1:8044" in world.files[SERVING][0]


def test_requests_under_way_are_drained_within_their_limit():
    changed = both(bigger, setting(NAME, drain=4))
    world = host(release(setting(NAME, drain=4)))
    world.answers[DRAIN] = CommandResult(0, "0 0 127.0.0.1:40000 127.0.0.1:8014")
    start = world.clock
    assert applied(world, release(changed)).outcome == "applied" and 4 <= world.clock - start < 30


@pytest.mark.parametrize("state", ["active", "activating"])
def test_requests_that_waited_before_and_run_on_are_ended_in_peace(state):
    """Else the place would lead the new ones on at once."""
    world = host()
    world.answers["systemctl is-active infra-waiting"] = CommandResult(3, state)
    assert applied(world, AFTER).outcome == "applied"
    assert world.ran.index(f"systemctl stop {LEADING}") < world.ran.index(f"systemctl start {SOCKET}")


def _listening(pids):
    return "users:(" + ",".join(f'("nginx",pid={pid},fd=6)' for pid in pids) + ")"


def test_service_stops_after_old_proxy_workers_released_their_sockets():
    world = host()
    workers = iter(_listening(pids) for pids in ([10, 11], [10, 11, 12], [10, 12]))
    world.files["/run/nginx.pid"] = (b"10\n", 0o644, "root", "root")
    run, listed = world.run, []

    def ran(*argv, **options):
        if argv == nginx.LISTENS:
            listed.append(f"systemctl stop {UNIT}" in world.ran)
            return CommandResult(0, next(workers))
        return run(*argv, **options)

    world.run = ran
    assert applied(world, AFTER).outcome == "applied" and listed == [False] * 3
