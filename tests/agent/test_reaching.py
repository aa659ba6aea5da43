"""A person in a service of the host: what root runs for it, and what is noted down."""

import json
import os
import pwd
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from agent import jobs, reaching, store
from agent.apply import go_back
from agent.outcome import Refused
from agent.world import CommandResult
from infra.answers import check_answer
from tests.agent import native
from tests.agent.releases import JOB, applied, bigger, blue_green, blue_green_changed, release, serving
from tests.catalogue.changes import both, setting
from tests.catalogue.reaching import balanced
from tests.support import ROOT

UNIT = "watchme-avatar-uploader.service"


def asked(world, service="vault-api", how="exec", words=("ls", "-l"), tty=False, port=None):
    answer = reaching.grant_access(
        world, {"how": how, "service": service, "words": [*words], "tty": tty, "port": port, "who": "kaya@laptop"}
    )
    return check_answer("reach", answer, "box")


def waits(world, *given, **options):
    """What `enter` would run."""
    path = f"{reaching.WAITING}/{asked(world, *given, **options)['enter']}"
    assert world.files[path][1] == 0o600
    return json.loads(world.files[path][0])


def test_a_command_is_run_in_the_services_container():
    world = serving(release())
    assert waits(world) == {"argv": ["docker", "exec", "--interactive", "watchme-vault-api", "ls", "-l"]}
    assert waits(world, tty=True)["argv"][:4] == ["docker", "exec", "--interactive", "--tty"]
    assert waits(world, how="shell")["argv"][-3:-1] == ["sh", "-c"]


def test_command_runs_in_the_serving_slot():
    world = serving(release(blue_green))
    assert "watchme-vault-api-blue" in waits(world)["argv"]
    assert applied(world, release(blue_green_changed)).outcome == "applied"
    assert "watchme-vault-api-green" in waits(world)["argv"]


def test_command_runs_in_the_named_replica():
    world = serving(release(balanced()))
    assert "watchme-vault-api" in waits(world)["argv"]
    assert "watchme-vault-api-2" in waits(world, "vault-api/2")["argv"]


def test_command_of_a_native_service_runs_like_its_process():
    world = native.serving(native.release("services", "whisper"))
    world.answers["systemctl show -p MainPID"] = CommandResult(0, "MainPID=4711\nUser=whisper\nGroup=audio")
    words = ["sh", "-c", 'echo "${d}" $$ $HOME']
    wanted = {"pid": 4711, "account": "whisper", "group": "audio", "words": words}
    assert waits(world, "whisper-backend", words=words) == wanted
    world.answers["systemctl show -p MainPID"] = CommandResult(0, "MainPID=4711\nUser=\nGroup=")
    assert waits(world, "whisper-backend", words=words)["account"] == "root"
    world.answers["systemctl show -p MainPID"] = CommandResult(0, "MainPID=0")
    with pytest.raises(Refused, match="whisper-backend has no process that a command could run besid"):
        asked(world, "whisper-backend")


ENTERED = """
import json, os, sys
from agent import jobs, reaching, store
from agent.world import World
reaching.WAITING = sys.argv[1]
sys.exit(reaching.enter(World(), sys.argv[2]))
"""


ME = pwd.getpwuid(os.getuid()).pw_name


def entered(tmp_path, way, account=ME, **options):
    """A command as `enter` runs it, of a real process."""
    (tmp_path / "one").write_text(json.dumps({"account": account, "group": "", **way}))
    return subprocess.run(
        [sys.executable, "-c", ENTERED, str(tmp_path), "one"], capture_output=True, timeout=60, cwd=ROOT, **options
    )


@pytest.fixture
def process(tmp_path):
    """A service with an environment and a directory of its own."""
    environment = {"PATH": os.environ["PATH"], "QUOTES": 'a "b" $c\nand more', "EMPTY": ""}
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path, env=environment) as running:
        yield running
        running.kill()


def test_command_has_environment_directory_and_arguments_of_the_process(tmp_path, process):
    script = "import json, os, sys; print(json.dumps([dict(os.environ), os.getcwd(), sys.argv[1:]]))"
    words = ["$HOME", "${d}", "$$", "%i", "a b", "-x"]
    ran = entered(tmp_path, {"pid": process.pid, "words": [sys.executable, "-c", script, *words]})
    environment, directory, given = json.loads(ran.stdout)
    assert environment["QUOTES"] == 'a "b" $c\nand more' and environment["EMPTY"] == ""
    assert directory == str(tmp_path) and given == words
    assert not (tmp_path / "one").exists(), "once"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -9 $$"], 137), (["sh", "-c", "kill -15 $$"], 143),
        (["sh", "-c", "kill -2 $$"], 130), (["no-such-program"], 127), (["/etc/passwd"], 126),
    ],
)  # fmt: skip
def test_exit_code_follows_the_convention_of_shells(tmp_path, process, words, code):
    ran = entered(tmp_path, {"pid": process.pid, "words": words})
    assert ran.returncode == code and b"Traceback" not in ran.stderr, ran.stderr
    assert (ran.stderr == b"") is (code not in (126, 127))


@pytest.mark.parametrize(
    ("account", "pid", "line"),
    [
        ("nobody", None, b"the service's process no longer belongs to nobody: its environment is not available"),
        ("no-such-account", None, b"the account no-such-account or its group does not exist on this host"),
        (ME, 2**22, b"the service's process has ended: run the command again"),
    ],
)
def test_a_process_of_another_account_lends_nothing(tmp_path, process, account, pid, line):
    """A service can have a set-uid program become its main process, or name another one: it gets no one's rights."""
    ran = entered(tmp_path, {"pid": pid or process.pid, "words": ["id"]}, account=account)
    assert ran.returncode == 126 and line in ran.stderr and ran.stdout == b"", ran.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another account")
def test_a_command_has_the_account_and_groups_of_the_unit(tmp_path):
    """And not those of its process."""
    tmp_path.chmod(0o755)
    with subprocess.Popen(["sleep", "60"], user="nobody", group=0, extra_groups=[0]) as running:
        ran = entered(tmp_path, {"pid": running.pid, "words": ["id"]}, account="nobody")
        running.kill()
    assert b"uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
def test_invalid_command_is_refused_in_one_line(tmp_path, process, word):
    ran = entered(tmp_path, {"pid": process.pid, "words": [word]})
    assert ran.returncode == 126 and b"no program can have this name" in ran.stderr, ran.stderr


def test_simultaneous_commands_are_separate_and_unused_ones_expire():
    world = serving(release())
    first, second = (f"{reaching.WAITING}/{asked(world)['enter']}" for _ in range(2))
    assert {first, second} <= {*world.files}
    world.time += reaching.LIVES + 1
    third = f"{reaching.WAITING}/{asked(world)['enter']}"
    assert [path for path in world.files if path.startswith(reaching.WAITING)] == [third]


def test_only_the_program_of_a_one_word_command_is_recorded():
    world = serving(release())
    asked(world, words=["/usr/bin/curl -H 'Authorization: hunter2'"])
    assert reaching.access_records(world)[-1]["program"] == "curl"


@pytest.mark.parametrize("under_nohup", [False, True])
def test_command_ends_when_its_connection_is_lost(tmp_path, process, under_nohup):
    """Its connection is gone; whether what began it ignores that, as under nohup, is no matter."""
    begun = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"] if under_nohup else []
    way = {"pid": process.pid, "account": ME, "group": "", "words": ["sleep", "50"]}
    (tmp_path / "one").write_text(json.dumps(way))
    place, its_end = os.pipe()
    entered = [*begun, sys.executable, "-c", ENTERED, str(tmp_path), "one"]
    running = subprocess.Popen(entered, stdout=its_end, cwd=ROOT)
    os.close(its_end)
    os.close(place)
    assert running.wait(timeout=40) == 128 + signal.SIGHUP


def test_expired_command_is_refused_in_one_line(tmp_path):
    world = serving(release())
    for id in ("0" * 32, "../../etc/passwd"):
        with pytest.raises(Refused, match="the command has expired: run it again"):
            reaching.enter(world, id)


def test_shell_of_a_host_needs_no_service():
    assert asked(serving(release()), "", how="host", words=()) == {"host": True}


def test_forwarded_port_is_the_services_or_its_containers():
    world = serving(release())
    assert asked(world, how="forward", words=()) == {"address": "127.0.0.1", "port": 8000}
    world.answers["docker inspect --format"] = CommandResult(0, "172.27.0.14 ")
    assert asked(world, how="forward", words=(), port=5432) == {"address": "172.27.0.14", "port": 5432}
    timers = native.serving(native.release("home", "vocoder"))
    with pytest.raises(
        Refused, match=r"vocoder publishes no port on the host: name the port that it listens on, as in vocoder:5"
    ):
        asked(timers, "vocoder", how="forward", words=())
    assert asked(timers, "vocoder", how="forward", words=(), port=9) == {"address": "127.0.0.1", "port": 9}


def test_unknown_or_stopped_service_is_reported():
    world = serving(release())
    with pytest.raises(Refused, match=r"this host runs no vault; services: .*vault-api"):
        asked(world, "vault")
    world.active.discard("watchme-vault-api.service")
    with pytest.raises(
        Refused, match=r"vault-api is not running: infra logs vault-api shows why, infra restart vault-api st"
    ):
        asked(world)
    assert reaching.access_records(world) == [], "a refused visit is none"


def test_access_is_recorded_without_arguments():
    world = serving(release())
    asked(world, words=["/usr/bin/psql", "-c", "alter user x password 'hunter2'"])
    asked(world, "", how="host", words=())
    asked(world, how="forward", words=(), port=8000)
    now = round(world.wall())
    assert reaching.access_records(world) == [
        {"at": now, "who": "kaya@laptop", "how": "exec", "service": "vault-api", "program": "psql"},
        {"at": now, "who": "kaya@laptop", "how": "host", "service": "", "program": ""},
        {"at": now, "who": "kaya@laptop", "how": "forward", "service": "vault-api", "program": "8000"},
    ]
    assert world.files[reaching.NOTED][1] == 0o600 and b"hunter2" not in world.files[reaching.NOTED][0]
    assert world.ran.count("systemd-cat -t infra") == 3
    assert not any("hunter2" in command for command in world.ran)
    for _ in range(reaching.MOST):
        asked(world, "", how="host", words=())
    assert len(reaching.access_records(world)) == reaching.MOST


@pytest.mark.parametrize("text", [b"{", b"7", b'["x"]', b"[" * 100_000])
def test_damaged_access_record_does_not_block_access(text):
    world = serving(release())
    world.write(reaching.NOTED, text, 0o600, "root", "root")
    asked(world)
    assert [entry["program"] for entry in reaching.access_records(world)] == ["ls"]


def test_full_disk_does_not_block_access():
    world = serving(release())
    write = world.write

    def full(path, *given):
        if path == reaching.NOTED:
            raise OSError(28, "No space left on device", path)
        write(path, *given)

    world.write = full
    assert asked(world)["enter"] and world.ran.count("systemd-cat -t infra") == 1


def test_a_port_of_another_service_in_the_same_unit_is_not_taken_for_its_own():
    change = both(
        setting("avatar-uploader", directory="/home/ubuntu/watchme-vault-api", unit="watchme-vault-api.service"),
        setting("vault-api", directory="/home/ubuntu/watchme-vault-api", unit="watchme-vault-api.service"),
    )
    world = serving(release(change))
    assert asked(world, "avatar-uploader", how="forward", words=())["port"] == 8014
    assert asked(world, "vault-api", how="forward", words=())["port"] == 8000


def test_a_port_that_systemd_holds_is_the_services():
    world = native.serving(native.release("services", "recall"))
    assert asked(world, "recall-api", how="forward", words=()) == {"address": "127.0.0.1", "port": 8000}


def test_delayed_restart_uses_the_current_release(tmp_path):
    """And does not go back to what served when it was asked for."""
    world = serving(release(), release(bigger))
    job = replace(JOB, kind="restart", only=("vault-api",))
    outcome = jobs.execute(world, job, {"kind": "restart", "release": release().id}, {"secrets": {}})
    assert outcome.outcome == "applied" and outcome.changed == [] and store.current_id(world) == release(bigger).id
    assert "watchme-vault-api.service" in outcome.restarted and len(outcome.restarted) == 1


def restarted(world, *services, made=None):
    world.ran.clear()
    return go_back(world, replace(JOB, kind="restart", only=services), (made or release()).id)


def test_a_restart_restarts_that_service_alone():
    world = serving(release())
    before = world.seen_by_programs()
    outcome = restarted(world, "avatar-uploader")
    line = f"restarted on watchme: avatar-uploader, healthy; release {release().id[:12]} keeps serving"
    assert (outcome.outcome, outcome.restarted, outcome.line) == ("applied", [UNIT], line)
    assert [c for c in world.ran if c.startswith("systemctl restart")] == [f"systemctl restart {UNIT}"]
    assert world.seen_by_programs() == before


def test_restart_keeps_hand_edits_and_starts_stopped_units():
    world = serving(release())
    path = "/home/ubuntu/api_ast/docker-compose.prod.yml"
    world.write(path, b"# by hand\n", 0o644, "root", "root")
    world.active.discard(UNIT)
    assert restarted(world, "avatar-uploader").outcome == "applied" and UNIT in world.active
    assert world.files[path][0] == b"# by hand\n"


def test_unhealthy_restart_is_reported_and_recorded():
    world = serving(release(), release(bigger))
    world.web = lambda url: 503 if ":8014/" in url and f"systemctl restart {UNIT}" in world.ran else 200
    outcome = restarted(world, "avatar-uploader", made=release(bigger))
    assert outcome.outcome == "rollback failed" and "avatar-uploader answered 503" in outcome.line, outcome.line


@pytest.mark.parametrize("change", [blue_green, balanced()], ids=["two slots", "replicas"])
def test_restart_of_replicas_is_rolling(change):
    made = release(change)
    world = serving(made)
    assert restarted(world, "vault-api", made=made).outcome == "applied"
    restarts = [c for c in world.ran if c.startswith("systemctl restart")]
    own = [unit for unit in restarts if "vault-api" in unit]
    assert len(own) == (1 if change is blue_green else 3) and all(unit.count(".service") == 1 for unit in own)


def test_restart_of_a_resting_or_unknown_service_is_refused():
    world = serving(release())
    world.there.discard("/run/infra/single/scheduler")
    assert "scheduler does not run on this host at present" in restarted(world, "scheduler").line
    assert "this host runs no echo" in restarted(world, "echo").line
    assert not [c for c in world.ran if c.startswith("systemctl restart")]
