"""Environments of Python: made by their lock before the switch, put in place and back by a link, kept while they may be
needed."""

import contextlib

import pytest

from agent import artefacts, drift, environments, preflight, store, uv
from agent.documents.manifest import Directory
from agent.outcome import Refused
from agent.recover import recover
from agent.world import CommandResult
from tests.agent.fake import Killed
from tests.agent.locked import INTO, PYTHON, UNIT, UV, folder_of, host, lock, release
from tests.agent.releases import JOB, applied, gone_back
from tests.rows import changes
from tests.support import ROOT


def test_environment_is_built_before_and_linked_by_the_switch():
    world = host()
    made = release()
    ended = applied(world, made)
    assert ended.outcome == "applied", ended.line
    assert world.links[INTO] == folder_of(made) and folder_of(made).startswith(f"{environments.PLACE}/recall-api-")
    (command,) = world.built
    assert command.startswith(f"{UV} sync --frozen --no-install-project --no-install-workspace --no-default-groups")
    assert f"--python {PYTHON}" in command
    assert world.accounts.keys() >= {environments.ACCOUNT}
    assert world.directories[environments.CACHE] == (environments.ACCOUNT, "", 0o700)
    (unit,) = world.commands("systemd-run")
    assert f"--property=User={environments.ACCOUNT}" in unit and "--property=ProtectSystem=strict" in unit
    assert f"chown -R -h root:root -- {folder_of(made)}" in world.ran
    order = [
        world.ran.index(one)
        for one in (unit, f"settle {folder_of(made)}", f"systemctl restart {UNIT}")
        if one in world.ran
    ]
    assert order == sorted(order) and len(order) > 1
    assert not world.tree(environments.STAGED)


def test_only_a_changed_lock_rebuilds_and_restarts():
    world = host()
    first, second = release("1.0"), release("2.0")
    applied(world, first)
    assert applied(world, first).outcome == "unchanged" and not world.built
    ended = applied(world, second)
    assert UNIT in ended.restarted and INTO in ended.changed and len(world.built) == 1
    assert world.links[INTO] == folder_of(second) != folder_of(first)
    assert gone_back(world, first.id).outcome == "applied"
    assert world.links[INTO] == folder_of(first) and not world.built


def test_unhealthy_release_is_rolled_back_to_the_earlier_environment():
    world = host()
    first, second = release("1.0"), release("2.0")
    applied(world, first)
    world.web = lambda url: 500 if world.links[INTO] != folder_of(first) else 200
    assert applied(world, second).outcome == "rolled back" and world.links[INTO] == folder_of(first)


@pytest.mark.parametrize(
    ("prepare", "own", "expected"),
    [
        (lambda world: setattr(world, "fails", CommandResult(1, "x\n× no wheel of gunicorn\n")), {}, "cannot be made: x | × no wheel of gunicorn"),
        (lambda world: setattr(world, "fails", CommandResult(124, "")), {"limit": "90s"}, "was not made within 90 s"),
        (lambda world: None, {"version": "3.12"}, "this host has no python3.12, which the environment of recall-api"),
        (lambda world: world.made.pop("bin/gunicorn"), {}, f"{INTO}/bin/gunicorn is not in it"),
        (lambda world: setattr(world, "space", 1024), {}, "no space left on device"),
        (lambda world: world.answers.update(useradd=CommandResult(1, "no more numbers")) or world.accounts.clear(), {},
         "the account infra-python, which makes environments, cannot be made: no more numbers"),
    ],
    ids=["uv", "time", "python", "program", "disk", "account"],
)  # fmt: skip
def test_release_is_refused_when_an_environment_cannot_be_built(prepare, own, expected):
    world = host()
    first, second = release("1.0"), release("2.0", **own)
    applied(world, first)
    before = world.seen_by_programs()
    prepare(world)
    ended = applied(world, second)
    assert ended.outcome == "refused" and expected in ended.line, ended.line
    assert world.links[INTO] == folder_of(first) and world.seen_by_programs()[1:4] == before[1:4]
    assert not world.tree(environments.STAGED)
    world.fails = None


def test_build_that_exceeds_its_limit_is_ended_with_its_processes():
    world = host()
    world.fails = CommandResult(124, "")
    applied(world, release())
    made = folder_of(release()).rsplit("/", 1)[1]
    assert world.commands("systemctl stop ") == [
        f"systemctl stop {environments.UNITS}*",
        f"systemctl stop {environments.UNITS}{made}-1.service",
    ]


def test_groups_extras_and_another_index():
    world = host()
    made = release("1.0", groups=("gpu",), extras=("fast",), index="https://pypi.example.com/simple")
    assert applied(world, made).outcome == "applied"
    venv, export, install = world.built
    assert venv.startswith(f"{UV} venv --python {PYTHON}") and "--group gpu --extra fast" in export
    assert "--require-hashes" in install and "--default-index https://pypi.example.com/simple" in install
    world = host()
    applied(world, release("1.0", index="/srv/wheels"))
    assert "--no-index --find-links /srv/wheels" in world.built[-1]


def test_same_lock_inside_two_artefacts_is_built_once():
    world = host()
    files = {"deploy/uv.lock": lock("1.0").decode(), "deploy/pyproject.toml": "[project]"}
    builds = [release(artefact=world.publish("recall", {**files, "app.py": text})) for text in ("1", "2")]
    builds.append(release(artefact=world.publish("recall", {**files, "deploy/uv.lock": lock("2.0").decode()})))
    places = []
    for number, made in enumerate(builds):
        ended = applied(world, made)
        assert ended.outcome == "applied", ended.line
        assert len(world.built) == (1, 0, 1)[number]
        assert world.links[INTO] == folder_of(made)
        places.append(world.links[folder_of(made)])
    assert places[0] == places[1] != places[2] and world.environments >= set(places)
    without = release(artefact=world.publish("recall", {"app.py": "3"}))
    ended = applied(world, without)
    assert ended.outcome == "refused" and "/srv/recall/app/deploy/pyproject.toml is not in the artefact" in ended.line
    assert environments.differing(world, builds[2].manifest) == []


def test_environments_that_no_kept_release_needs_are_pruned():
    world = host()
    made = [release(f"{number}.0") for number in range(8)]
    for one in made:
        applied(world, one)
    kept = {folder_of(one) for one in made if one.id in store.kept_ids(world)}
    assert world.environments == kept and len(kept) == 5
    assert len(world.listing(f"{store.STATE}/environments")) == 5
    world.files[f"{environments.CACHE}/wheels/a"] = (b"x" * 1000, 0o644, environments.ACCOUNT, "")
    assert environments.empty_cache(world) == 1000 and environments.empty_cache(world) == 0
    assert world.environments == kept


def test_edited_environment_is_drift_and_stays():
    world = host()
    made = release()
    applied(world, made)
    world.files[f"{folder_of(made)}/lib/x.py"] = (b"edited", 0o755, "root", "root")
    found = {entry["path"]: entry["found"] for entry in drift.drift(world)}
    assert found == {folder_of(made): "was edited: lib/x.py; the next lock replaces it"}
    assert applied(world, made).outcome == "unchanged" and not world.built


def test_incomplete_environment_is_rebuilt_and_restored_on_failure():
    world = host()
    made = release()
    applied(world, made)
    world.remove(f"{folder_of(made)}/lib/x.py")
    assert "is incomplete" in drift.drift(world)[0]["found"]
    before = world.tree(folder_of(made))
    world.fails = CommandResult(1, "no network")
    assert applied(world, made).outcome == "refused" and world.tree(folder_of(made)) == before
    assert world.exists(artefacts.record_of(folder_of(made)))
    world.fails = None
    assert applied(world, made).outcome == "unchanged" and drift.drift(world) == []


def test_environment_without_its_python_is_rebuilt():
    """As after an upgrade of the distribution."""
    world = host()
    made = release()
    applied(world, made)
    record = artefacts.record_of(folder_of(made))
    text = world.files[record][0].replace(world.tree(folder_of(made))["bin/python"].encode(), f"-> {PYTHON}".encode())
    world.files[record] = (text, 0o600, "root", "root")
    assert not environments.absent(world, store.Release(made.id, made.manifest, []))
    world.there.remove(PYTHON)
    world.installed.remove("python3.11")
    assert environments.absent(world, store.Release(made.id, made.manifest, []))


def test_killed_update_ends_at_the_new_environment_when_repeated():
    def on_the_way():
        world = host()
        applied(world, release("1.0"))
        return world, release("2.0")

    world, second = on_the_way()
    began = world.changes
    applied(world, second)
    for number in changes(world.changes - began):
        world, second = on_the_way()
        world.kill_at = world.changes + number
        with contextlib.suppress(Killed):
            applied(world, second)
        world.kill_at = None
        recover(world, JOB, "the agent was ended in the middle")
        ended = applied(world, second)
        assert ended.outcome in ("applied", "unchanged"), f"killed at change {number}: {ended.line}"
        assert world.links[INTO] == folder_of(second), number
        assert environments.differing(world, second.manifest) == [], number


def test_removed_environment_leaves_no_link():
    world = host()
    applied(world, release())
    world.there |= {f"{INTO}/bin/gunicorn"}
    ended = applied(world, release(has=False))
    assert ended.outcome == "applied" and INTO not in world.links, ended.line


def test_release_does_not_write_through_the_link_of_an_earlier_environment():
    base, later = release(), release(has=False)
    directory: Directory = {"path": INTO, "mode": 0o755, "owner": "recall", "group": ""}
    target = store.Release("x", {**later.manifest, "directories": [directory]}, [])
    with pytest.raises(Refused, match=f"has the link to an environment of Python .{INTO}"):
        preflight.check_former_artefacts(store.Release(base.id, base.manifest, []), target)


def test_version_of_uv_is_that_of_the_project():
    text = (ROOT / "requirements-uv.txt").read_text()
    assert f"uv=={uv.VERSION} " in text
    assert all(f"sha256:{sha256}" in text for _, sha256, _ in uv.WHEELS.values())
