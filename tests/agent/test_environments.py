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


def test_an_environment_is_made_before_the_switch_and_linked_by_it():
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


def test_an_unchanged_lock_costs_nothing_and_another_restarts_its_service():
    world = host()
    first, second = release("1.0"), release("2.0")
    applied(world, first)
    assert applied(world, first).outcome == "unchanged" and not world.built
    ended = applied(world, second)
    assert UNIT in ended.restarted and INTO in ended.changed and len(world.built) == 1
    assert world.links[INTO] == folder_of(second) != folder_of(first)
    assert gone_back(world, first.id).outcome == "applied"
    assert world.links[INTO] == folder_of(first) and not world.built


def test_a_release_that_is_unhealthy_goes_back_to_the_environment_before():
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
def test_what_cannot_be_made_is_refused_before_anything_is_touched(prepare, own, expected):
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


def test_one_that_takes_too_long_is_ended_with_all_that_it_started():
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


def test_a_lock_may_lie_in_an_artefact_and_the_same_one_is_not_made_twice():
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


def test_what_no_kept_release_needs_goes_and_nothing_else():
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


def test_an_edited_one_is_drift_and_stays():
    world = host()
    made = release()
    applied(world, made)
    world.files[f"{folder_of(made)}/lib/x.py"] = (b"edited", 0o755, "root", "root")
    found = {entry["path"]: entry["found"] for entry in drift.drift(world)}
    assert found == {folder_of(made): "was edited: lib/x.py; the next lock replaces it"}
    assert applied(world, made).outcome == "unchanged" and not world.built


def test_one_of_which_something_is_gone_is_made_again_and_put_back_where_that_fails():
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


def test_one_whose_python_is_gone_is_made_again():
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


def test_killed_anywhere_the_same_update_ends_at_the_new_environment():
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


def test_one_that_leaves_the_catalogue_leaves_no_link():
    world = host()
    applied(world, release())
    world.there |= {f"{INTO}/bin/gunicorn"}
    ended = applied(world, release(has=False))
    assert ended.outcome == "applied" and INTO not in world.links, ended.line


def test_nothing_is_written_through_the_link_of_the_one_before():
    base, later = release(), release(has=False)
    directory: Directory = {"path": INTO, "mode": 0o755, "owner": "recall", "group": ""}
    target = store.Release("x", {**later.manifest, "directories": [directory]}, [])
    with pytest.raises(Refused, match=f"has the link to an environment of Python .{INTO}"):
        preflight.check_former_artefacts(store.Release(base.id, base.manifest, []), target)


def test_uv_is_the_one_that_the_project_itself_uses():
    text = (ROOT / "requirements-uv.txt").read_text()
    assert f"uv=={uv.VERSION} " in text
    assert all(f"sha256:{sha256}" in text for _, sha256, _ in uv.WHEELS.values())
