"""Native units on a host in memory: accounts, their own managers, what must be there, and the proxy's change."""

import copy
from dataclasses import replace

import pytest

from agent import boot_times, store, units
from agent.recover import recover
from agent.world import CommandResult
from tests.agent.fake import FakeWorld, Killed
from tests.agent.native import USER, machine, release, serving
from tests.agent.releases import JOB, applied
from tests.agent.stored import all_of, current
from tests.rows import changes
from tests.support import service


def gadget_of_another_name(data):
    service(data, "gadget")["directives"]["Unit"]["Description"] = "another"


def without_web(data):
    data["services"] = [entry for entry in data["services"] if entry["name"] != "totton-web"]
    data["milestones"].pop()


def louder(data):
    service(data, "vocoder")["drop_ins"]["override"]["Service"]["Environment"] = "DEBUG=2"


def test_accounts_are_created_and_units_run_under_their_managers():
    world = serving(release("home"))
    assert world.accounts == {"ice": "/home/ice", "totton_audio": "/opt/totton_audio"}
    assert "useradd --user-group --home-dir /opt/totton_audio --system --no-create-home" in " ".join(world.ran)
    assert {"ice/vocoder.service", "ice/vocoder@production.service", "gpu-upsampler.service"} <= world.active
    assert world.files[f"{USER}/vocoder.service"][1:] == (0o644, "ice", "")
    assert "runuser -u ice -- env systemctl --user daemon-reload" in world.ran


def test_second_apply_creates_no_account_again():
    world = serving(release("home"))
    outcome = applied(world, release("home"))
    assert outcome.outcome == "unchanged" and len(outcome.services) == 7
    assert not [command for command in world.ran if command.startswith(("useradd", "loginctl"))]


def test_units_that_require_a_changed_unit_restart_with_it():
    """systemd stops the others with the gadget, and starts none of them with it."""
    world = serving(release("home"))
    outcome = applied(world, release("home", change=gadget_of_another_name))
    assert outcome.restarted == ["totton-audio-gadget.service", "gpu-upsampler.service", "totton-audio-web.service"]


def test_changed_drop_in_restarts_only_its_unit():
    world = serving(release("home"))
    outcome = applied(world, release("home", "vocoder", louder))
    assert outcome.restarted == ["ice/vocoder.service"]
    assert "systemctl daemon-reload" not in world.ran


def test_everything_that_is_missing_is_named_at_once():
    world = machine()
    world.there.clear()
    outcome = applied(world, release("home", change=lambda data: data.update(data=["/opt/totton_audio"])))
    assert outcome.outcome == "refused" and "missing on this host: /usr/local/bin/totton-audio-gadget" in outcome.line
    assert "uvicorn (totton-web needs it; on a replaced machine: infra restore)" in outcome.line
    assert "/home/ice/dev/vocoder/bin/vocoder (vocoder needs it);" in outcome.line
    assert world.accounts == {"ice": "/home/ice"}


def test_files_of_an_artefact_are_not_required_on_the_host():
    world = machine()
    world.there.clear()
    outcome = applied(world, release("services", "whisper"))
    assert "missing on this host: /bin/sh (the interpreter of /opt/whisper/run.sh). Create it" in outcome.line


def test_an_account_with_another_home_is_refused():
    world = machine()
    world.accounts["ice"] = "/home/eis"
    outcome = applied(world, release("home"))
    assert outcome.outcome == "refused"
    assert "account ice has the home /home/eis on this host, not /home/ice" in outcome.line


def test_skipped_unit_rolls_the_release_back_with_its_reason():
    world = machine()
    world.skipped.add("gpu-upsampler.service")
    outcome = applied(world, release("home"))
    assert outcome.outcome == "rolled back" and not world.active
    assert "upsampler (gpu-upsampler.service) was skipped, since a condition of its unit is not met" in outcome.line


def test_failed_unit_is_reported_with_its_log():
    world = machine()
    restart = "runuser -u ice -- env systemctl --user restart"
    world.answers[restart] = CommandResult(1, "See systemctl status for details")
    world.answers["journalctl _SYSTEMD_USER_UNIT=vocoder.service _UID=1003"] = CommandResult(0, "no microphone")
    outcome = applied(world, release("home"))
    assert outcome.outcome == "rolled back" and "its log ends: no microphone" in outcome.line
    assert "See systemctl status" not in outcome.line


def test_socket_of_a_service_stays_open_during_its_restart():
    def quieter(data):
        service(data, "recall-api")["environment"] = {"LEVEL": "warning"}

    world = serving(release("services", "recall"))
    outcome = applied(world, release("services", "recall", quieter))
    assert outcome.restarted == ["recall-api.service"]
    assert not [command for command in world.ran if command.startswith("systemctl stop")]


def test_changed_proxy_takes_over_and_is_rolled_back():
    def caddy(config):
        config["infra:hosts"]["services"]["proxy"] = "caddy"

    world = serving(release("services", "recall"))
    nginx = world.seen_by_programs()
    assert "nginx.service" in world.active
    unhealthy = copy.deepcopy(world)
    unhealthy.web = lambda url: 0 if url.startswith("https:") and "caddy.service" in unhealthy.active else 200
    outcome = applied(unhealthy, release("services", "recall", config=caddy))
    assert outcome.outcome == "rolled back" and unhealthy.seen_by_programs() == nginx
    assert applied(world, release("services", "recall", config=caddy)).outcome == "applied"
    assert "caddy.service" in world.active and not {"nginx.service"} & (world.active | world.enabled)
    assert applied(world, release("services", "recall")).outcome == "applied"
    assert world.seen_by_programs() == nginx


SCENES = {
    "first release": (machine, lambda: release("home")),
    "another release": (
        lambda: serving(release("home", change=without_web)),
        lambda: release("home", "vocoder", louder),
    ),
}


@pytest.mark.parametrize("scene", SCENES)
def test_killed_native_switch_ends_at_one_whole_release(scene):
    make, target = SCENES[scene]
    made, start = target(), make()
    before, base = start.seen_by_programs(), store.current_id(start)
    finished = copy.deepcopy(start)
    applied(finished, made)
    after, total = finished.seen_by_programs(), finished.changes - start.changes
    assert total > 25
    for number in changes(total):
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        with pytest.raises(Killed):
            applied(world, made)
        world.kill_at = None
        recover(world, JOB, "the agent was ended midway")
        all_of(world, before, after, base, made.id)
        assert applied(world, made).outcome in ("applied", "unchanged") and world.seen_by_programs() == after


def test_rollback_reports_accounts_that_stay():
    world = machine()
    world.web = lambda url: 503
    outcome = applied(world, release("home"))
    assert outcome.outcome == "rolled back"
    assert "changes of accounts are not rolled back: the account totton_audio was created" in outcome.line, outcome.line


def test_a_link_that_a_user_laid_is_refused_before_anything_is_touched():
    world = serving(release("home", change=without_web))
    before = world.seen_by_programs()
    world.links_of_users["/home/ice/.config"] = (
        "/home/ice/.config: a symbolic link that root does not own is not followed"
    )
    outcome = applied(world, release("home", "vocoder", louder))
    assert outcome.outcome == "refused" and "that root does not own is not followed. Put a directory" in outcome.line
    assert world.seen_by_programs() == before


def test_a_link_laid_meanwhile_keeps_nothing_from_being_undone():
    world = serving(release("home", change=without_web))
    before = world.seen_by_programs()

    def laid(urls):
        world.links_of_users["/opt/totton_audio"] = "a link"
        raise RuntimeError("no word from outside")

    outcome = applied(world, release("home"), job=replace(JOB, confirm=laid))
    assert outcome.outcome == "rolled back" and world.seen_by_programs() == before
    assert outcome.line.count("was not changed: a link") == len(outcome.warnings) > 0


def test_rollback_restores_the_owner_of_an_existing_directory():
    world = machine()
    world.directories["/opt/totton_audio"] = ("michihito", "users", 0o750)
    world.skipped.add("gpu-upsampler.service")
    assert applied(world, release("home")).outcome == "rolled back"
    assert world.directories["/opt/totton_audio"] == ("michihito", "users", 0o750)


def test_existing_directories_of_an_account_stay_unchanged():
    world = machine()
    world.directories["/home/ice/.config"] = ("ice", "ice", 0o700)
    assert applied(world, release("home")).outcome == "applied"
    assert world.directories["/home/ice/.config"] == ("ice", "ice", 0o700)
    assert world.directories["/home/ice/.config/systemd"] == ("ice", "", 0o755)


def test_a_group_that_is_not_there_is_refused():
    made = release("home", change=lambda data: data["accounts"][0].update(groups=["audio", "jetson"]))
    outcome = applied(machine(), made)
    assert (
        outcome.outcome == "refused"
        and "totton_audio must be in the group jetson, which does not exist on this host" in outcome.line
    )


def test_an_expired_certificate_is_obtained_again():
    world = serving(release("services", "recall"))
    ended = {"openssl x509 -noout -checkend 0 -in /etc/letsencrypt/live/example.com": CommandResult(1, "will expire")}
    world.answers |= ended
    certify = world.certify
    world.certify = lambda *of: (world.answers.pop(*ended), certify(*of))  # type: ignore[method-assign]
    assert applied(world, release("services", "recall")).outcome == "unchanged"
    assert [command.rsplit(" ", 1)[1] for command in world.commands("certbot")] == ["example.com"]


def test_attempts_that_were_used_up_do_not_count_for_the_next_release():
    world = serving(release("home"))
    applied(world, release("home", change=gadget_of_another_name))
    order = [
        command.split()[1] for command in world.ran if command.startswith(("systemctl reset", "systemctl restart"))
    ]
    assert order == ["reset-failed", "restart"]


def test_boot_times_count_from_the_hosts_own_beginning_and_take_the_first_start():
    world = serving(release("home"))
    world.answers["systemctl show -p Userspace"] = CommandResult(
        0, "UserspaceTimestampMonotonic=5000000\nFirmwareTimestampMonotonic=2000000"
    )
    entry = '{"__MONOTONIC_TIMESTAMP":"%d"}\n'
    world.answers["journalctl -b UNIT=totton-audio-gadget.service"] = CommandResult(
        0, entry % 4_000_000 + entry % 7_000_000 + entry % 9_000_000
    )
    in_container = [entry["seconds"] for entry in boot_times.boot_times(world, current(world))]
    assert in_container == [2.0, None, None]
    world.answers["systemd-detect-virt"] = CommandResult(1, "none")
    on_metal = [entry["seconds"] for entry in boot_times.boot_times(world, current(world))]
    assert on_metal == [6.0, None, None]


def test_an_account_that_is_not_there_has_no_units():
    assert units.states(FakeWorld(), ["ice/vocoder.service"]) == {
        "ice/vocoder.service": {"active": False, "enabled": False}
    }
