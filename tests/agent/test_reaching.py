"""A person in a service of the host: what root runs for it, and what is noted down."""

from dataclasses import replace

import pytest

from agent import reaching
from agent.apply import go_back
from agent.outcome import Refused
from agent.world import Ran
from infra.answers import checked
from tests.agent import native
from tests.agent.releases import JOB, applied, bigger, blue_green, blue_green_changed, release, serving
from tests.catalogue.reaching import balanced

UNIT = "watchme-avatar-uploader.service"


def asked(world, service="vault-api", how="exec", words=("ls", "-l"), tty=False, port=None):
    answer = reaching.reached(
        world, {"how": how, "service": service, "words": [*words], "tty": tty, "port": port, "who": "kaya@laptop"}
    )
    return checked("reach", answer, "box")


def test_a_command_is_run_in_the_services_container():
    world = serving(release())
    assert asked(world) == {"argv": ["docker", "exec", "--interactive", "watchme-vault-api", "ls", "-l"]}
    assert asked(world, tty=True)["argv"][:4] == ["docker", "exec", "--interactive", "--tty"]
    assert asked(world, how="shell")["argv"][-3:-1] == ["sh", "-c"]


def test_of_two_slots_it_is_the_one_that_serves():
    world = serving(release(blue_green))
    assert "watchme-vault-api-blue" in asked(world)["argv"]
    assert applied(world, release(blue_green_changed)).outcome == "applied"
    assert "watchme-vault-api-green" in asked(world)["argv"]


def test_of_replicas_it_is_the_one_that_is_named():
    world = serving(release(balanced()))
    assert "watchme-vault-api" in asked(world)["argv"]
    assert "watchme-vault-api-2" in asked(world, "vault-api/2")["argv"]


def test_a_native_services_command_has_its_account_directory_and_environment():
    world = native.serving(native.release("services", "whisper"))
    world.answers["systemctl show -pUser"] = Ran(
        0,
        'User=whisper\nWorkingDirectory=/opt/whisper\nEnvironment=RUST_LOG=info "A=b c"\n'
        "EnvironmentFiles=/etc/whisper/a.env (ignore_errors=no)\nEnvironmentFiles=/etc/whisper/b.env (ignore_errors=yes)",
    )
    argv = asked(world, "whisper-backend", words=["id"])["argv"]
    assert argv[:5] == ["systemd-run", "--quiet", "--wait", "--collect", "--pipe"] and argv[-2:] == ["--", "id"]
    assert {"--uid=whisper", "--working-directory=/opt/whisper", "--setenv=RUST_LOG=info", "--setenv=A=b c"} < {*argv}
    assert {f"--property=EnvironmentFile=/etc/whisper/{name}.env" for name in "ab"} < {*argv}


def test_a_port_is_the_services_own_or_one_in_its_container():
    world = serving(release())
    assert asked(world, how="forward", words=()) == {"address": "127.0.0.1", "port": 8000}
    world.answers["docker inspect --format"] = Ran(0, "172.27.0.14 ")
    assert asked(world, how="forward", words=(), port=5432) == {"address": "172.27.0.14", "port": 5432}
    timers = native.serving(native.release("home", "vocoder"))
    with pytest.raises(
        Refused, match=r"vocoder has no port of the host: name the one that it listens on, as in vocoder:5"
    ):
        asked(timers, "vocoder", how="forward", words=())
    assert asked(timers, "vocoder", how="forward", words=(), port=9) == {"address": "127.0.0.1", "port": 9}


def test_what_is_not_there_or_does_not_run_is_said():
    world = serving(release())
    with pytest.raises(Refused, match=r"this host runs no vault; services: .*vault-api"):
        asked(world, "vault")
    world.active.discard("watchme-vault-api.service")
    with pytest.raises(
        Refused, match=r"vault-api does not run: infra logs vault-api says why, infra restart vault-api st"
    ):
        asked(world)
    assert reaching.noted(world) == [], "nobody got anywhere"


def test_who_got_where_is_noted_and_no_argument_of_a_command():
    world = serving(release())
    asked(world, words=["/usr/bin/psql", "-c", "alter user x password 'hunter2'"])
    asked(world, "", how="host", words=())
    now = round(world.wall())
    assert reaching.noted(world) == [
        {"at": now, "who": "kaya@laptop", "how": "exec", "service": "vault-api", "program": "psql"},
        {"at": now, "who": "kaya@laptop", "how": "host", "service": "", "program": ""},
    ]
    assert world.files[reaching.NOTED][1] == 0o600 and b"hunter2" not in world.files[reaching.NOTED][0]
    assert world.ran.count("systemd-cat -t infra") == 2
    for _ in range(reaching.MOST):
        asked(world, "", how="host", words=())
    assert len(reaching.noted(world)) == reaching.MOST


@pytest.mark.parametrize("text", [b"{", b"7", b'["x"]', b"[" * 100_000])
def test_a_damaged_note_keeps_no_one_out(text):
    world = serving(release())
    world.write(reaching.NOTED, text, 0o600, "root", "root")
    asked(world)
    assert [entry["program"] for entry in reaching.noted(world)] == ["ls"]


def restarted(world, *services, made=None):
    world.ran.clear()
    return go_back(world, replace(JOB, kind="restart", only=services), (made or release()).id)


def test_a_restart_restarts_that_service_alone():
    world = serving(release())
    before = world.seen_by_programs()
    outcome = restarted(world, "avatar-uploader")
    line = f"restarted on watchme: avatar-uploader, healthy; release {release().id[:12]} serves on"
    assert (outcome.outcome, outcome.restarted, outcome.line) == ("applied", [UNIT], line)
    assert [c for c in world.ran if c.startswith("systemctl restart")] == [f"systemctl restart {UNIT}"]
    assert world.seen_by_programs() == before


def test_a_restart_leaves_what_was_changed_by_hand_and_starts_what_was_stopped():
    world = serving(release())
    path = "/home/ubuntu/api_ast/docker-compose.prod.yml"
    world.write(path, b"# by hand\n", 0o644, "root", "root")
    world.active.discard(UNIT)
    assert restarted(world, "avatar-uploader").outcome == "applied" and UNIT in world.active
    assert world.files[path][0] == b"# by hand\n"


def test_a_restart_that_ends_unhealthy_says_so_and_the_history_has_it():
    world = serving(release(), release(bigger))
    world.web = lambda url: 503 if ":8014/" in url and f"systemctl restart {UNIT}" in world.ran else 200
    outcome = restarted(world, "avatar-uploader", made=release(bigger))
    assert outcome.outcome == "rollback failed" and "avatar-uploader answered 503" in outcome.line, outcome.line


@pytest.mark.parametrize("change", [blue_green, balanced()], ids=["two slots", "replicas"])
def test_a_restart_of_what_takes_turns_takes_turns(change):
    made = release(change)
    world = serving(made)
    assert restarted(world, "vault-api", made=made).outcome == "applied"
    restarts = [c for c in world.ran if c.startswith("systemctl restart")]
    own = [unit for unit in restarts if "vault-api" in unit]
    assert len(own) == (1 if change is blue_green else 3) and all(unit.count(".service") == 1 for unit in own)


def test_a_restart_of_what_rests_or_is_not_there_is_refused():
    world = serving(release())
    world.there.discard("/run/infra/single/scheduler")
    assert "scheduler is not to run on this host now" in restarted(world, "scheduler").line
    assert "this host runs no echo" in restarted(world, "echo").line
    assert not [c for c in world.ran if c.startswith("systemctl restart")]
