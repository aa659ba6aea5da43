"""How the agent comes to a host."""

import contextlib

import pytest

from agent import install, jobs
from agent.outcome import Failed, Refused
from agent.world import CommandResult
from tests.agent.fake import FakeWorld, Killed

SOURCES = {"agent/__init__.py": b"", "agent/main.py": b"def command(): ..."}
COMPILED, ON_DISK = "/usr/bin/python3 -I -m compileall", "settle"


def test_agent_is_compiled_and_synced_before_activation():
    world = FakeWorld()
    place = install.install(world, SOURCES)
    assert world.link_target(install.BIN) == place and world.read(f"{place}/__main__.py") == install.MAIN
    assert [ran for ran in world.ran if ran.endswith(f"{place}.new")] == [
        f"{COMPILED} -q --invalidation-mode checked-hash {place}.new", f"{ON_DISK} {place}.new",
    ]  # fmt: skip


def test_same_agent_is_installed_once():
    world = FakeWorld()
    place, before = install.install(world, SOURCES), len(world.ran)
    assert install.install(world, SOURCES) == place
    assert world.ran[before:] == [f"systemctl is-enabled --quiet {install.UNIT}"]


@pytest.mark.parametrize("kill_at", range(1, 15))
def test_recovery_unit_is_enabled_after_a_killed_installation(kill_at):
    world = FakeWorld(kill_at=kill_at)
    with contextlib.suppress(Killed):
        install.install(world, SOURCES)
    world.kill_at = None
    install.install(world, SOURCES)
    assert install.UNIT in world.enabled


def test_a_unit_that_systemd_does_not_take_is_no_installation():
    world = FakeWorld()
    world.answers["systemctl enable"] = CommandResult(1, "Failed to enable unit: Read-only file system")
    with pytest.raises(Failed, match="Read-only file system"):
        install.install(world, SOURCES)


def test_replaced_agent_is_removed_unless_a_job_uses_it():
    world = FakeWorld()
    first = install.install(world, SOURCES)
    second = install.install(world, SOURCES | {"agent/new.py": b""})
    install.forget_others(world, {first})
    assert world.read(f"{first}/__main__.py")
    install.forget_others(world, set())
    assert world.link_target(install.BIN) == second != first and world.read(f"{first}/__main__.py") is None


def test_no_agent_is_removed_during_an_installation(monkeypatch):
    """It is not named by a job yet."""
    world, held, forgotten = FakeWorld(), [], []

    @contextlib.contextmanager
    def lock(purpose, say, path=None, patience=0.0):
        assert path == install.LOCK and patience == 0
        if held:
            raise Refused("another one is being installed")
        yield

    monkeypatch.setattr(jobs, "lock", lock)
    monkeypatch.setattr(install, "forget_others", lambda world, in_use: forgotten.append(in_use))
    held.append(True)
    jobs._forget_other_agents(world)
    assert forgotten == []
    held.clear()
    jobs._forget_other_agents(world)
    assert forgotten == [set()]


@pytest.mark.parametrize("damage", [None, b"", b"def command(): pass"])
def test_a_damaged_agent_is_built_again(damage):
    """A file that is gone, one that a loss of power cut short, one that was edited."""
    world = FakeWorld()
    place = install.install(world, SOURCES)
    if damage is None:
        del world.files[f"{place}/agent/main.py"]
    else:
        world.files[f"{place}/agent/main.py"] = (damage, 0o644, "root", "root")
    assert install.install(world, SOURCES) == place
    assert world.read(f"{place}/agent/main.py") == SOURCES["agent/main.py"]


@pytest.mark.parametrize("kill_at", range(1, 14))
def test_killed_installation_leaves_a_whole_agent_or_none(kill_at):
    world = FakeWorld(kill_at=kill_at)
    try:
        install.install(world, SOURCES)
    except Killed:
        place = world.link_target(install.BIN)
        assert place is None or (world.read(f"{place}/__main__.py") and world.commands(ON_DISK))
        names = {name.split("/")[0] for name in world.listing(install.AGENTS)}
        built = [name for name in names if not name.endswith(".new")]
        assert all(world.read(f"{install.AGENTS}/{name}/agent/main.py") for name in built)
    world.kill_at = None
    place = install.install(world, SOURCES)
    assert world.read(f"{place}/agent/main.py") and world.commands(COMPILED) and world.commands(ON_DISK)
    assert world.link_target(install.BIN) == place
