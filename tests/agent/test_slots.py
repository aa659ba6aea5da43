"""Rollouts without a gap, on a host in memory."""

import copy

import pytest

from agent import slots, store, transaction
from agent.world import CommandResult
from tests.agent.releases import (
    applied,
    blue_green,
    blue_green_changed,
    gone_back,
    killed_at_each_change,
    release,
    serving,
    world_for,
)

BLUE, GREEN = "watchme-vault-api-blue.service", "watchme-vault-api-green.service"
LINK = "/etc/nginx/conf.d/slot-vault-api.conf"


def slot(world):
    return world.links[LINK].rsplit("-", 1)[1].removesuffix(".conf")


def test_the_first_release_serves_from_blue():
    world = serving(release(blue_green))
    assert slot(world) == "blue" and BLUE in world.active & world.enabled and GREEN not in world.active | world.enabled
    assert applied(world, release(blue_green)).outcome == "unchanged"


def test_a_change_moves_to_the_other_slot_and_back():
    world = serving(release(blue_green))
    outcome = applied(world, release(blue_green_changed))
    assert outcome.outcome == "applied" and outcome.restarted == [GREEN]
    assert slot(world) == "green" and GREEN in world.active & world.enabled and BLUE not in world.active | world.enabled
    assert applied(world, release(blue_green)).restarted == [BLUE]
    assert slot(world) == "blue"


def test_the_old_container_runs_until_the_release_is_committed():
    world = serving(release(blue_green))
    order = []
    world.web = lambda url: order.append((BLUE in world.active, GREEN in world.active, slot(world))) or 200
    applied(world, release(blue_green_changed))
    assert (True, True, "blue") in order and (True, True, "green") in order
    commands = world.ran
    assert commands.index(f"systemctl restart {GREEN}") < commands.index(f"systemctl stop {BLUE}")
    assert "ss -Htn state established dport = :8017" not in commands
    assert commands.index("ss -Htn state established dport = :8000") < commands.index(f"systemctl stop {BLUE}")


def test_public_url_is_checked_after_the_switch_of_slots():
    world = serving(release(blue_green))
    public = []
    world.web = lambda url: (
        (public.append(slot(world)) if url.startswith("https") and "/vault/" in url else None) or 200
    )
    applied(world, release(blue_green_changed))
    assert set(public) == {"green"}


def test_unhealthy_new_slot_leaves_the_old_one_serving():
    world = serving(release(blue_green))
    before = world.seen_by_programs()
    world.web = lambda url: 503 if ":8090" in url else 200
    outcome = applied(world, release(blue_green_changed))
    assert outcome.outcome == "rolled back" and "vault-api answered 503 at http://127.0.0.1:8090/" in outcome.line
    assert world.seen_by_programs() == before
    assert not [command for command in world.ran if BLUE in command and "restart" in command]


def test_slot_that_fails_behind_the_proxy_is_switched_back_before_it_stops():
    world = serving(release(blue_green))
    before = world.seen_by_programs()
    world.web = lambda url: 502 if url.startswith("https") and "/vault/" in url and slot(world) == "green" else 200
    outcome = applied(world, release(blue_green_changed))
    assert outcome.outcome == "rolled back" and world.seen_by_programs() == before
    back = max(i for i, c in enumerate(world.ran) if c == "systemctl try-reload-or-restart nginx")
    first_back = [i for i, c in enumerate(world.ran) if c == "systemctl try-reload-or-restart nginx"][-2]
    assert first_back < world.ran.index(f"systemctl stop {GREEN}") < back


def test_draining_waits_for_the_last_request():
    world = serving(release(blue_green))
    world.answers["ss -Htn"] = CommandResult(0, "0 0 127.0.0.1:40000 127.0.0.1:8000")
    start = world.clock
    assert applied(world, release(blue_green_changed)).outcome == "applied"
    assert world.clock - start >= slots.DRAIN and BLUE not in world.active


def test_rollback_switches_slots():
    first = release(blue_green)
    world = serving(first, release(blue_green_changed))
    assert gone_back(world, first.id).restarted == [BLUE]


def test_service_changes_to_blue_green_and_back():
    plain, slotted = release(), release(blue_green)
    world = serving(plain, slotted)
    assert "watchme-vault-api.service" not in world.active | world.enabled and slot(world) == "blue"
    assert applied(world, plain).outcome == "applied"
    assert "watchme-vault-api.service" in world.active & world.enabled
    assert not {BLUE, GREEN} & (world.active | world.enabled) and LINK not in world.links


@pytest.mark.parametrize("is_unhealthy", [pytest.param(False, marks=pytest.mark.nightly), True])
def test_killed_rollout_ends_at_one_whole_release(is_unhealthy):
    start, made = serving(release(blue_green)), release(blue_green_changed)
    before = start.seen_by_programs()
    finished = copy.deepcopy(start)
    applied(finished, made)
    after = finished.seen_by_programs()
    web = (lambda url: 503 if ":8090" in url else 200) if is_unhealthy else (lambda url: 200)
    number = 0
    for number, world in enumerate(killed_at_each_change(start, made, lambda _: web), 1):
        assert transaction.load_unfinished(world) is None
        assert world.seen_by_programs() == (after if store.current_id(world) == made.id else before), number
    assert number > 15


def test_both_containers_have_their_own_port_address_and_project():
    manifest = release(blue_green).manifest
    (entry,) = manifest["slots"]
    assert [choice["port"] for choice in entry["choices"]] == [8000, 8090]
    assert {port["port"] for port in manifest["ports"]} >= {8000, 8090}
    assert manifest["memory"] == release().manifest["memory"] + 200 * 1024**2
    assert world_for(release(blue_green)).registry == world_for(release()).registry
