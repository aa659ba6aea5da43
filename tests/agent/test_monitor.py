"""One run of the monitor on a host in memory: what it puts right, what it leaves alone, what it remembers."""

import json
from dataclasses import asdict, replace

import pytest

from agent import lock
from agent.monitor import history, notices, run
from agent.monitor.conditions import ConditionResult, evaluate
from agent.monitor.history import Repair
from agent.monitor.look import HostFacts
from agent.monitor.repairs import PER_DAY, why_not
from agent.world import CommandResult, Usage
from tests.agent.conditions import NETWORK, TRANSACTION, moved, watchme
from tests.agent.fake import FakeWorld
from tests.agent.stored import current

AST = "watchme-ast-api.service"


def fixed(world: FakeWorld, now: bool = False) -> dict:
    world.ran.clear()
    return run.run(world, True, now)


def unattached(world: FakeWorld) -> None:
    world.docker.containers["ast-api"].clear()


def image(world: FakeWorld) -> None:
    """A full disk, and an image that no release needs, whose removal frees it."""
    world.disk = Usage(1, 30 * 1024**3, 1024**3, 10, 9)
    old = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-web@sha256:old"
    world.answers |= {
        "docker image ls": CommandResult(0, "sha256:1\n"),
        "docker image inspect -f {{.Size}}": CommandResult(0, f'2000000000 ["{old}"]\n'),
    }

    def removed(*argv, **_):
        if argv[:3] == ("docker", "image", "rm"):
            world.disk = Usage(1, 30 * 1024**3, 20 * 1024**3, 10, 9)
        return FakeWorld.run(world, *argv)

    world.run = removed  # type: ignore[method-assign]


REPAIRS = {
    "a missing network": (
        lambda w: w.docker.networks.pop(NETWORK),
        "systemctl restart --no-block watchme-infrastructure.service",
    ),
    "a container that is not attached": (
        unattached,
        f"docker network connect --ip 172.27.0.17 --alias api {NETWORK} ast-api",
    ),
    "a container at another address": (moved, f"docker network disconnect {NETWORK} ast-api"),
    "a stopped unit": (lambda w: w.active.discard(AST), f"systemctl start --no-block {AST}"),
    "a stopped proxy": (lambda w: w.active.discard("nginx.service"), "systemctl start --no-block nginx.service"),
    "a full disk": (image, "docker image rm"),
}


@pytest.mark.parametrize(("cause", "command"), REPAIRS.values(), ids=REPAIRS)
def test_condition_is_repaired(cause, command):
    world = watchme()
    cause(world)
    world.ran.clear()
    looked = run.run(world, False)
    assert not looked["well"] and looked["repairs"] == [] and not world.commands(command)
    ended = fixed(world)
    assert world.commands(command)
    (repair,) = ended["repairs"]
    assert ended["well"] and repair["worked"], repair
    assert [asdict(entry) for entry in history.repairs(world)] == [repair]
    assert fixed(world)["repairs"] == []


def test_condition_without_a_safe_repair_is_only_reported():
    world = watchme()
    world.docker.networks["api_ast_default"] = ("172.20.0.0/16", "", "api_ast")
    ended = fixed(world)
    assert not ended["well"] and ended["repairs"] == [] and world.docker.networks["api_ast_default"]


def test_a_disk_without_images_is_left_to_people():
    world = watchme()
    world.files["/proc/mounts"] = (
        b"/dev/sdb1 /srv/data ext4 rw 0 0\n/dev/sr0 /media iso9660 ro 0 0\n",
        0o444,
        "root",
        "root",
    )
    full, well = Usage(2, 30 * 1024**3, 1024**3, 10, 9), world.disk
    world.usage = lambda path: full if path == "/srv/data" else well  # type: ignore[method-assign]
    ended = fixed(world)
    assert [entry["text"] for entry in ended["conditions"] if entry["met"]] == [
        "the disk of /srv/data is 96.7 % full (1024 MiB left)"
    ]
    assert ended["repairs"] == [] and not world.commands("docker image rm")


def test_ineffective_repair_is_retried_with_growing_pauses():
    world = watchme()
    world.active.discard(AST)
    world.skipped.add(AST)
    ended = fixed(world)
    assert not ended["well"] and not ended["repairs"][0]["worked"]
    assert f"{AST} was started, but the condition remains: {AST} is not running" in ended["repairs"][0]["said"]
    again = fixed(world)
    assert again["repairs"] == [] and again["left"] == [f"unit-down {AST}: tried 1 times in a day, next in 300 s"]
    world.time += 301
    assert fixed(world)["repairs"] and fixed(world)["left"][0].endswith("tried 2 times in a day, next in 600 s")
    assert fixed(world, now=True)["repairs"]


def test_failed_repair_gives_its_reason():
    world = watchme()
    unattached(world)
    world.answers["docker network connect"] = CommandResult(1, "Error response from daemon: Address already in use")
    (repair,) = fixed(world)["repairs"]
    assert not repair["worked"] and "Address already in use" in repair["said"]


MET = ConditionResult("unit-down", AST, 1, True, "does not run", "start")


def test_a_day_has_a_limit():
    tried = [Repair(at, MET.alert, AST, "start", False, "") for at in range(PER_DAY)]
    assert why_not(MET, tried, 80_000.0) == "tried 6 times in a day: no more automatic attempts"
    assert why_not(MET, tried, 90_000.0) == ""
    assert why_not(replace(MET, subject="another.service"), tried, 10.0) == ""


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (lambda w: w.files.update({"/var/lib/infra/transaction.json": (TRANSACTION, 0o600, "root", "root")}), "its recovery comes first"),
    ],
    ids=["a switch that is not finished"],
)  # fmt: skip
def test_monitor_touches_nothing_during_a_release(cause, said):
    world = watchme()
    world.active.discard(AST)
    cause(world)
    ended = fixed(world)
    assert ended["repairs"] == [] and said in ended["left"][0] and not world.commands("systemctl start")


def test_a_running_release_is_left_alone():
    world = watchme()
    world.active.discard(AST)
    with lock.lock("apply of release abc", lambda line: None, lock.LOCK):
        ended = fixed(world)
    assert ended["repairs"] == [] and "another job is running on this host: apply of release abc" in ended["left"][0]


def test_a_docker_that_does_not_answer_recreates_nothing():
    """Nothing follows from what is unknown, and least of all that everything is to be restarted."""
    for silence in ("timed out", "Connection refused"):
        world = watchme()
        world.docker.silence = silence
        ended = fixed(world)
        assert not ended["well"] and ended["repairs"] == [] and not world.commands("systemctl restart")
        assert not [e for e in ended["conditions"] if e["alert"] == "oom-kills" and silence in e["subject"]]


def test_network_with_foreign_containers_is_not_recreated():
    world = watchme()
    world.docker.networks[NETWORK] = ("172.28.0.0/16", "172.28.0.1", "")
    world.docker.containers["another-ones"] = {NETWORK: "172.28.0.9"}
    ended = fixed(world)
    assert not ended["well"] and not world.commands("systemctl restart")


def test_container_is_not_reattached_when_its_address_is_occupied():
    world = watchme()
    moved(world)
    world.docker.containers["other"] = {NETWORK: "172.27.0.17"}
    ended = fixed(world)
    assert "172.27.0.17 of watchme-network is taken by other" in ended["repairs"][0]["said"]
    assert world.docker.containers["ast-api"] == {NETWORK: "172.27.0.99"}


def test_repair_that_cannot_be_recorded_is_not_tried():
    """A full disk: pauses would not count, and a unit would be started with every run."""
    world = watchme()
    world.active.discard(AST)
    own = world.write

    def full(path, *rest):
        if path.startswith(history.PLACE):
            raise OSError(28, "No space left on device")
        own(path, *rest)

    world.write = full  # type: ignore[method-assign]
    ended = fixed(world)
    assert ended["repairs"] == [] and not world.commands("systemctl start")
    said = "\n".join(ended["left"])
    assert "nothing was repaired, since the attempt cannot be recorded: [Errno 28]" in said
    assert "storing this run failed" in said


def test_recovered_condition_is_not_repaired():
    """A release may have ended between the look and the lock: it is looked at again."""
    world = watchme()
    world.active.discard(AST)
    look = HostFacts(world, current(world))
    before = evaluate(look)
    world.active.add(AST)
    _, found, made, left = run._repair_all(look, before, False)
    assert made == [] and left == [] and not [entry for entry in found if entry.met]


def test_running_job_suppresses_notices_and_samples():
    world = watchme()
    world.active.discard(AST)
    with lock.lock("apply of release abc", lambda line: None, lock.LOCK):
        ended = run.run(world, False)
    assert not ended["well"] and "no notice was sent, since a job is running: apply of release abc" in ended["left"][0]
    assert history.samples(world) == []


def test_history_is_bounded_and_torn_files_are_ignored():
    world = watchme()
    for _ in range(3):
        run.run(world, False)
    assert len(history.samples(world)) == 3 and history.samples(world)[0]["services"]["ast-api"] == 200
    history.remember_repairs(world, [Repair(float(n), "a", "b", "start", True, "") for n in range(500)])
    assert [entry.at for entry in history.repairs(world)] == [float(n) for n in range(300, 500)]
    many = json.dumps([{"at": n, "services": {}} for n in range(1000)]).encode()
    world.write(history.SAMPLES, many, 0o600, "root", "root")
    history.remember_sample(world, {"at": 1000, "services": {}})
    assert len(history.samples(world)) == history.SAMPLES_KEPT and history.samples(world)[-1]["at"] == 1000
    world.write(history.SAMPLES, many[:50], 0o600, "root", "root")
    assert history.samples(world) == []


ODD = [
    None, 1, "x", [], {}, {"at": 1}, {"at": "1", "alert": "a", "subject": "b", "repair": "c", "worked": True, "said": ""},
    {"at": True, "alert": "a", "subject": "b", "repair": "c", "worked": True, "said": ""},
    {"at": 1e308, "alert": "a", "subject": "b", "repair": "c", "worked": True, "said": ""},
    {"at": 1, "alert": [], "subject": "b", "repair": "c", "worked": True, "said": ""},
    {"at": 1, "alert": "a", "subject": "b", "repair": "c", "worked": "yes", "said": ""},
]  # fmt: skip


@pytest.mark.parametrize("text", ["null", "{}", "[" * 5000, "\xff", '[NaN, {"at": Infinity}]', json.dumps(ODD)])
def test_odd_memories_stop_no_run(text):
    world = watchme()
    for place in (history.REPAIRS, history.MEMORY, history.SAMPLES, history.LAST, notices.SENT):
        world.write(place, text.encode("latin-1"), 0o600, "root", "root")
    world.active.discard(AST)
    ended = run.run(world, True)
    assert ended["release"] and not [line for line in ended["left"] if "failed" in line], ended["left"]
    assert [entry["subject"] for entry in ended["repairs"]] == [AST]
    assert history.recent_repairs(world)[-1].subject == AST


def test_people_read_a_line_a_condition(capsys):
    world = watchme()
    world.active.discard(AST)
    assert run.main(world, []) == 2
    said = capsys.readouterr().out
    # 13 services, their network, the watches of the scheduler and of memory, the monitor itself
    assert "✓ network: 1 of 1 healthy" in said and f"✗ unit-down: 17 of 18 healthy\n    {AST} is not running" in said
    assert said.endswith("watchme: 1 alert condition met\n")
    assert run.main(world, ["--fix"]) == 0
    said = capsys.readouterr().out
    assert f"repaired: unit-down {AST}: {AST} was started" in said and said.endswith("watchme: healthy\n")
    assert run.main(world, ["--quiet"]) == 0 and capsys.readouterr().out == "watchme: healthy\n"


def test_programs_read_json(capsys):
    assert run.main(watchme(), ["--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (
        report["well"] and report["host"] == "watchme" and {entry["alert"] for entry in report["conditions"]} > {"disk"}
    )


def test_monitor_reports_a_host_without_a_release(capsys):
    assert run.main(FakeWorld(), []) == 2
    assert capsys.readouterr().out == "this host has no release yet\n"
