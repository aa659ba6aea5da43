"""What a host has its Swarm run: until it does, or not at all."""

import pytest

from agent import stacks
from agent.documents.answers import GroupState
from agent.outcome import Refused
from agent.world import CommandResult
from infra import releases
from tests.groups.swarm_of_hosts import EARLIER, STACK, Swarm

BEFORE = {"Spec": {"TaskTemplate": EARLIER}, "UpdateStatus": {"State": "completed"}}


def check(swarm, say):
    return stacks.check_group(swarm, "/etc/infra/group.json", say)


def words(swarm):
    return [argv[1:3] for argv in swarm.said]


def apply(swarm):
    lines: list[str] = []
    assert stacks.apply(swarm, "/opt/web/swarm-stack.json", lines.append) == 0
    return lines


def serving(**more):
    """A Swarm that runs what the file says already."""
    swarm = Swarm()
    apply(swarm)
    return Swarm(existing={**swarm.existing, **more})


def test_first_copies_are_waited_for():
    swarm = Swarm()
    assert apply(swarm) == ["web-swarm_web: 2 running on web-1, web-2"]
    assert swarm.networks == ["shop-group"]


def test_update_is_waited_for_until_it_is_over():
    swarm = Swarm(existing=dict(BEFORE))
    apply(swarm)
    # Copies that are healthy from before are none of it, whatever Docker says of the update
    assert swarm.looks > 4


def test_update_after_one_that_was_taken_back_is_waited_for():
    swarm = Swarm(existing={**BEFORE, "UpdateStatus": {"State": "rollback_completed"}})
    assert apply(swarm) == ["web-swarm_web: 2 running on web-1, web-2"]
    # What is deployed again as it is says nothing of that one either
    swarm = serving(UpdateStatus={"State": "rollback_completed"})
    assert apply(swarm) == ["web-swarm_web: 2 running on web-1, web-2"]


def test_managers_that_elect_a_leader_are_asked_again():
    swarm = serving()
    swarm.refusals = ["Error response from daemon: rpc error: no leader"] * 3
    apply(swarm)
    swarm = Swarm(refusals=["Error response from daemon: rpc error: no leader"] * 90)
    with pytest.raises(Refused, match="web-swarm_web: Error response from daemon: rpc error: no leader"):
        apply(swarm)
    # A service that may exist is not removed as a new one
    assert {("stack", "deploy"), ("stack", "rm")}.isdisjoint(words(swarm))


def test_start_that_changes_nothing_waits_for_one_alone():
    swarm = serving()
    swarm.file["x-infra"] = {**STACK, "replicas": 9}
    swarm.was_updated = False
    assert apply(swarm) == ["web-swarm_web: 2 running on web-1, web-2"]


def test_variables_reach_containers_without_the_quotes_of_their_file():
    swarm = Swarm(environment=b"KEY='p@ss w$rd'\nPLAIN=1\nEMPTY=\nSIGN='\n")
    swarm.file["services"] = {"web": {"env_file": ["/opt/web/web.env"], "environment": {"OWN": "$$x"}}}
    apply(swarm)
    (web,) = swarm.deployed["services"].values()
    own = {"KEY": "p@ss w$$rd", "PLAIN": "1", "EMPTY": "", "SIGN": "'", "OWN": "$$x"}
    assert web["environment"] == own
    assert not any("p@ss" in word for argv in swarm.said for word in argv)


def test_missing_environment_file_is_said_before_anything_is_deployed():
    swarm = Swarm()
    swarm.file["services"] = {"web": {"env_file": ["/opt/web/web.env"]}}
    with pytest.raises(Refused, match=r"/opt/web/web.env is missing: pulumi up restores it"):
        apply(swarm)
    assert ("stack", "deploy") not in words(swarm)


def mark_of(**entry):
    swarm = Swarm()
    swarm.file["services"] = {"web": entry}
    apply(swarm)
    return swarm.deployed["services"]["web"]["labels"]["infra.description"]


def test_containers_carry_what_they_are_described_by_and_not_how_many_run():
    one = mark_of(image="a", deploy={"replicas": 1, "resources": {"limits": {"memory": "1g"}}})
    assert one == mark_of(image="a", deploy={"replicas": 2, "resources": {"limits": {"memory": "1g"}}})
    others = {mark_of(image="b"), mark_of(image="a", deploy={"resources": {}}), mark_of(image="a", labels={"x": "y"})}
    assert len({one, *others}) == 4


@pytest.mark.parametrize("ends", ["rollback_completed", "paused", "rollback_paused"])
def test_update_that_swarm_takes_back_is_refused_with_the_reason(ends):
    swarm = Swarm(ends=ends, existing=dict(BEFORE))
    with pytest.raises(Refused, match=r"unhealthy in the Swarm: task: non-zero exit \(1\) on web-3: no such table"):
        apply(swarm)
    assert ("stack", "rm") not in words(swarm)


def test_update_that_ends_never_is_refused_after_its_limit():
    swarm = Swarm(ends="updating", existing=dict(BEFORE))
    with pytest.raises(Refused, match="0 of 2 are healthy in the Swarm after 60 s"):
        apply(swarm)


def test_new_service_that_is_never_healthy_leaves_nothing():
    swarm = Swarm(ends="")
    with pytest.raises(Refused, match="0 of 2 are healthy"):
        apply(swarm)
    assert ("stack", "rm") in words(swarm)


@pytest.mark.parametrize(
    ("swarm", "reason"),
    [
        (Swarm(state="inactive"), "is in no Docker Swarm"),
        (Swarm(state="pending"), "its state is pending"),
        (Swarm(manages=False), "manages no Docker Swarm"),
        (Swarm(leaderless=9999), "too few of the hosts that manage the Swarm see each other .The swarm does not have"),
    ],
)
def test_host_outside_the_swarm_touches_nothing(swarm, reason):
    with pytest.raises(Refused, match=reason):
        apply(swarm)
    assert ("stack", "deploy") not in words(swarm)


def test_hosts_that_boot_together_wait_for_each_other():
    assert apply(Swarm(leaderless=90)) == ["web-swarm_web: 2 running on web-1, web-2"]


def test_first_host_removes_what_is_not_to_run():
    swarm = Swarm(labelled={"id1": "web-swarm", "id2": "old-swarm"})
    swarm.file = {"leader": "web", "hosts": ["web", "web-2"], "stacks": ["web-swarm"]}
    lines: list[str] = []
    assert check(swarm, lines.append) == 0
    assert lines == ["removing old-swarm"] and swarm.labelled == {"id1": "web-swarm"}


def test_other_hosts_remove_nothing():
    swarm = Swarm(manages=False, labelled={"id2": "old-swarm"})
    swarm.file = {"leader": "web", "hosts": ["web", "web-2"], "stacks": None}
    assert check(swarm, print) == 0 and swarm.labelled


def state_of(swarm):
    return stacks.group_state(swarm)


def leading(**more):
    return Swarm(
        file={"leader": "web", "hosts": ["web"], "stacks": ["web-swarm"]}, labelled={"id1": "web-swarm"}, **more
    )


def test_first_host_says_where_each_copy_runs():
    state = state_of(leading())
    assert state == {
        "hosts": {"web": "ready", "web-2": "drained", "web-3": "down"},
        "services": {"web": {"replicas": 3, "hosts": ["web", "web-2"]}},
        "error": "",
    }
    assert releases.group_lines(state) == (
        ["  spread: web, 2 of 3 healthy (web, web-2)", "  group: web-2 is drained", "  group: web-3 is down"], False,
    )  # fmt: skip


def test_group_without_a_quorum_says_so():
    lines, is_whole = releases.group_lines(state_of(leading(manages=False)))
    assert not is_whole and "does not have a leader" in lines[0]


def test_group_that_is_whole_is_in_order():
    state: GroupState = {"hosts": {"web": "ready"}, "services": {"api": {"replicas": 1, "hosts": ["web"]}}, "error": ""}
    assert releases.group_lines(state) == (["  spread: api, 1 of 1 healthy (web)"], True)


def test_other_hosts_say_nothing_of_a_group():
    swarm = Swarm(file={"leader": "web", "hosts": ["web", "web-2"], "stacks": None})
    assert state_of(swarm) is None and releases.group_lines(None) == ([], True)


def test_restart_replaces_the_copies_though_nothing_changed():
    swarm = serving()
    manifest = {
        "spread": [
            {"service": "web", "unit": "web-swarm.service", "name": "web-swarm_web", "entry": "shop-entry.service"}
        ]
    }
    stacks.request_restart(swarm, manifest, ["web-swarm.service", "other.service"])
    apply(swarm)
    assert ("docker", "service", "update", "--detach", "--force", "web-swarm_web") in swarm.said and swarm.looks > 4
    # The next start is an ordinary one again
    swarm.said.clear()
    apply(swarm)
    assert not any("--force" in words for words in swarm.said)


LEFT = {
    "units": [{"name": "web-swarm.service"}, {"name": "api-swarm.service"}],
    "spread": [
        {"service": "web", "unit": "web-swarm.service", "name": "web-swarm_web", "entry": "shop-entry.service"},
        {"service": "api", "unit": "api-swarm.service", "name": "api-swarm_api"},
    ],
}


def removed(swarm):
    return [argv[-1] for argv in swarm.said if argv[1:3] == ("service", "rm")]


@pytest.mark.parametrize(
    ("left", "staying", "names"),
    [
        (LEFT, None, ["web-swarm_web", "api-swarm_api"]),
        (LEFT, {**LEFT, "spread": LEFT["spread"][:1]}, ["api-swarm_api"]),
        (LEFT, LEFT, []),
        # Another host of the group
        ({**LEFT, "units": []}, None, []),
        ({"units": LEFT["units"]}, LEFT, []),
        (None, LEFT, []),
    ],
)
def test_swarm_ends_what_a_release_that_is_left_has_and_the_other_one_not(left, staying, names):
    swarm = Swarm()
    assert stacks.remove_left(swarm, left, staying) == [] and removed(swarm) == names


def test_service_that_the_swarm_does_not_end_is_reported(monkeypatch):
    swarm = Swarm()
    monkeypatch.setattr(swarm, "run", lambda *_: CommandResult(1, "Error response from daemon: no leader"))
    assert stacks.remove_left(swarm, LEFT, {"spread": LEFT["spread"][1:]}) == [
        "the Swarm still runs web-swarm_web: Error response from daemon: no leader"
    ]
    monkeypatch.setattr(swarm, "run", lambda *_: CommandResult(1, "Error: No such service: web-swarm_web"))
    assert stacks.remove_left(swarm, LEFT, None) == []
