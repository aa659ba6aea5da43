"""Whose a kill of the kernel's is: under version 2 every control group above counts it too."""

import json

import pytest

from agent.cgroups import UNIFIED, own_kills
from agent.measures.containers import oom_kills
from agent.monitor.look import HostFacts
from agent.world import CommandResult
from tests.agent.conditions import watchme
from tests.agent.fake import FakeWorld
from tests.agent.native import release as native_release
from tests.agent.native import serving as native_serving
from tests.agent.stored import current

USER = "/user.slice/user-1000.slice/user@1000.service"
# What systemd counted, where the units are, does a group repeat those in it → what is each unit's own
TREES = {
    "v2: a user's unit": (
        {"ice/probe1.service": 1, "user@1000.service": 1, "ice/app.slice": 1, "user-1000.slice": 1, "user.slice": 1, "-.slice": 1},
        {"ice/probe1.service": f"{USER}/app.slice/probe1.service", "user@1000.service": USER}, True, {"ice/probe1.service": 1},
    ),
    "v2: a unit of the system": ({"web.service": 2, "system.slice": 2, "-.slice": 2}, {"web.service": "/system.slice/web.service"}, True, {"web.service": 2}),
    "v2: a unit in another's group": (
        {"outer.service": 3, "inner.scope": 3}, {"outer.service": "/system.slice/outer.service", "inner.scope": "/system.slice/outer.service/inner.scope"}, True, {"inner.scope": 3},
    ),
    "v2: one in the outer too": (
        {"outer.service": 3, "inner.scope": 1}, {"outer.service": "/a/outer.service", "inner.scope": "/a/outer.service/inner.scope"}, True, {"outer.service": 2, "inner.scope": 1},
    ),
    "v2: three deep": ({"a.service": 2, "b.service": 2, "c.service": 2}, {"a.service": "/a", "b.service": "/a/b", "c.service": "/a/b/c"}, True, {"c.service": 2}),
    "v2: side by side": ({"a.service": 1, "b.service": 2}, {"a.service": "/s/a.service", "b.service": "/s/b.service"}, True, {"a.service": 1, "b.service": 2}),
    "v2: one name begins with the other": ({"a": 1, "ab": 1}, {"a": "/s/a", "ab": "/s/ab"}, True, {"a": 1, "ab": 1}),
    "v2: a unit that is gone": ({"gone.service": 1, "a.service": 1}, {"a.service": "/s/a.service"}, True, {"gone.service": 1, "a.service": 1}),
    "v1: a unit in another's group": (
        {"outer.service": 1, "inner.scope": 2}, {"outer.service": "/a/outer.service", "inner.scope": "/a/outer.service/inner.scope"}, False, {"outer.service": 1, "inner.scope": 2},
    ),
    "v1: slices": ({"web.service": 1, "-.slice": 1}, {}, False, {"web.service": 1}),
    "nothing": ({}, {}, True, {}),
}  # fmt: skip


@pytest.mark.parametrize("tree", TREES)
def test_kill_is_counted_for_the_innermost_unit(tree):
    counts, groups, repeats, own = TREES[tree]
    assert own_kills(counts, groups, repeats) == own


def journal_of(*entries: dict[str, str]) -> CommandResult:
    return CommandResult(0, "".join(json.dumps(entry) + "\n" for entry in entries))


def subjects(world: FakeWorld) -> dict[str, float]:
    return {found.subject: found.value for found in oom_kills(HostFacts(world, current(world)), {"within": 3600})}


@pytest.mark.parametrize("unified", [True, False], ids=["v2", "v1"])
def test_kill_in_a_user_unit_is_one_subject(unified):
    world = native_serving(native_release("home", "totton"))
    if unified:
        world.there.add(UNIFIED)
    account = world.account("ice")
    assert account
    of_user = [{"USER_UNIT": unit, "_UID": str(account.uid)} for unit in ("probe1.service", "app.slice", "-.slice")]
    above = [
        {"UNIT": unit, "_UID": "0", "_PID": "1"}
        for unit in (f"user@{account.uid}.service", f"user-{account.uid}.slice", "user.slice", "-.slice")
    ]
    world.answers["journalctl MESSAGE_ID=fe6faa94"] = journal_of(*of_user, *above)
    assert subjects(world) == {"ice/probe1.service": 1}


def test_unit_that_repeats_the_count_of_its_child_is_no_subject():
    world = watchme()
    world.there.add(UNIFIED)
    world.answers["journalctl MESSAGE_ID=fe6faa94"] = journal_of(
        *({"UNIT": unit, "_PID": "1"} for unit in ("outer.service", "inner.scope", "system.slice"))
    )
    world.answers["systemctl show -p Id"] = CommandResult(
        0, "Id=outer.service\nControlGroup=/a\n\nId=inner.scope\nControlGroup=/a/b\n"
    )
    assert subjects(world) == {"inner.scope": 1}


def test_a_container_counts_once_by_its_name():
    world = watchme()
    world.there.add(UNIFIED)
    world.docker.killed.append("superb-api")
    world.answers["journalctl MESSAGE_ID=fe6faa94"] = journal_of(
        *({"UNIT": unit, "_PID": "1"} for unit in (f"docker-{'a' * 64}.scope", "system.slice"))
    )
    assert subjects(world) == {"superb-api": 1}


def test_host_without_kills_has_one_subject_with_count_zero():
    assert subjects(watchme()) == {"processes": 0}
