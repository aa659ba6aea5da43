"""The fault table: what breaks, what the user sees, which release serves, and that the next `pulumi up` completes."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep

import pytest

from lab.run import run
from tests.rows import rows
from tests.system import faults
from tests.system.conftest import Ran, System
from tests.system.faults import at, image_of, inventory, last_job, push, serving, without_network_ids
from tests.system.on import wait_until_well

pytestmark = pytest.mark.lab
KILL = "systemctl kill --signal=KILL 'infra-job-*.service'"
COMPOSE = "/home/ubuntu/watchme-avatar-uploader"


def killed_at(said: str):
    @contextmanager
    def fault(system: System) -> Iterator[None]:
        with at(system, said, KILL):
            yield

    return fault


@contextmanager
def rebooted(system: System) -> Iterator[None]:
    """The host loses its power in the middle of the switch."""

    def power() -> None:
        run("docker", "kill", system.container)
        run("docker", "start", system.container)

    with at(system, "(re)starting", "true", power):
        yield


@contextmanager
def ill(system: System, kind: str) -> Iterator[None]:
    push(system, kind)
    with system.configured(healthDeadline="12"):
        yield
    push(system)


def image_that(kind: str):
    return lambda system: ill(system, kind)


@contextmanager
def directory_full(system: System) -> Iterator[None]:
    """The disk that a changed file lies on is full: found out in the middle of the switch."""
    mount = f"mount -t tmpfs -o size=4k,nr_inodes=3 tmpfs {COMPOSE}"
    keep = (
        f"cp {COMPOSE}/docker-compose.prod.yml /run/kept && {mount} && cp /run/kept {COMPOSE}/docker-compose.prod.yml"
    )
    assert system.on_host("sh", "-c", keep).code == 0
    assert system.on_host("touch", f"{COMPOSE}/more").code == 0
    try:
        yield
    finally:
        assert system.on_host("umount", COMPOSE).code == 0


def edited(path: str, old: str, new: str):
    @contextmanager
    def fault(system: System) -> Iterator[None]:
        system.edit(path, old, new)
        try:
            yield
        finally:
            system.restore(path)

    return fault


@dataclass(frozen=True)
class Row:
    """`fault` surrounds the release, which Pulumi has no part in; `outcome` is the host's word, `said` (a pattern) what the user reads. Where it
    `may_restart_docker` the release's own network is created again, under its name."""

    fault: Callable
    outcome: str
    said: str
    may_restart_docker: bool = False


ROWS = {
    "killed while pulling": Row(killed_at("pulling"), "refused", "the agent was ended before the switch; run again"),
    "killed while validating": Row(killed_at("validating"), "refused", "the agent was ended before the switch"),
    "killed while switching": Row(killed_at("switching"), "rolled back", "the agent was ended midway"),
    "killed while restarting": Row(killed_at("(re)starting"), "rolled back", "the agent was ended midway"),
    "killed while probing": Row(killed_at("waiting for"), "rolled back", "the agent was ended midway"),
    "killed while waiting for our word": Row(killed_at("awaiting"), "rolled back", "the agent was ended midway"),
    "power lost in the switch": Row(rebooted, "rolled back", "the host restarted midway", True),
    "never healthy": Row(image_that("never"), "rolled back", f"{faults.SERVICE} answered 503 at http://127.0.0.1:8014/health within 12 s; its log ends: .*no database at db.internal:5432"),
    "flaps": Row(image_that("flaps"), "rolled back", f"{faults.SERVICE} (did not answer 200 often enough in succession|answered 503)"),
    "disk full at the switch": Row(directory_full, "rolled back", "No space left on device"),
    "disk full": Row(faults.state_full, "refused", "no space left on device: "),
    "invalid unit": Row(edited("files/templates/compose.service.j2", "TimeoutStartSec=0", "TimeoutStartSec=soon\nExecStart=relative"), "refused", "systemd-analyze verify"),
    "invalid compose file": Row(edited("rendering/compose.py", '"mem_limit":', '"mem_limitz":'), "refused", "docker-compose config"),
    "registry down": Row(faults.registry_down, "refused", r"1 image cannot be pulled"),
}  # fmt: skip


@pytest.mark.parametrize("name", rows(ROWS, always=["killed while switching", "never healthy"]))
def test_release_with_a_fault_leaves_the_host_unchanged(watchme, name):
    row = ROWS[name]
    before, image = serving(watchme), image_of(watchme)
    whole = inventory(watchme)
    push(watchme)
    with row.fault(watchme):
        ran = watchme.deliver()
        assert ran.code != 0 and re.search(row.said, ran.output), ran.output
        assert f"{row.outcome} on watchme" in ran.output, ran.output
        assert last_job(watchme)["outcome"] == row.outcome
    assert "Traceback" not in ran.output
    assert serving(watchme) == before and image_of(watchme) == image
    wait_until_well(watchme)
    left = inventory(watchme)
    if row.may_restart_docker:
        left, whole = without_network_ids(left), without_network_ids(whole)
    assert left == whole and len(whole) > 100
    assert watchme.on_host("test", "-e", "/var/lib/infra/transaction.json").code == 1
    watchme.must_up()
    assert serving(watchme) != before and image_of(watchme) != image


@pytest.mark.nightly
def test_service_that_fails_after_its_health_check_is_rolled_back(watchme):
    """It dies while the machine that runs Pulumi looks from outside: the last look finds it."""
    before = serving(watchme)
    push(watchme, "dies")
    with at(watchme, "awaiting", "docker stop -t 0 watchme-avatar-uploader"):
        ran = watchme.up()
    assert ran.code != 0 and "rolled back on watchme" in ran.output
    assert serving(watchme) == before
    wait_until_well(watchme)
    push(watchme)
    watchme.must_up()


@pytest.mark.nightly
def test_failed_rollback_is_reported_and_fixed_by_the_next_release(watchme):
    push(watchme)
    with watchme.configured(healthDeadline="12"):
        watchme.must_up()
    before, old = serving(watchme), image_of(watchme)
    push(watchme, "never")
    block = f"iptables -I OUTPUT -d {watchme.lab.registry_address(faults.REGION)} -j REJECT"
    try:
        with (
            watchme.configured(healthDeadline="12"),
            at(watchme, "waiting for", f"{block}; docker image rm --force {old}"),
        ):
            ran = watchme.up()
    finally:
        faults.reach_registry(watchme, "-D")
    assert ran.code != 0 and "rollback failed on watchme" in ran.output
    assert "the files are restored, but: " in ran.output and "avatar-uploader" in ran.output
    assert serving(watchme) == before
    push(watchme)
    watchme.must_up()
    wait_until_well(watchme)


@pytest.mark.nightly
def test_cut_connection_does_not_affect_the_release(watchme):
    push(watchme)
    with at(watchme, "(re)starting", "pkill -KILL -f 'sshd: ubuntu@'"):
        output = watchme.must_up()
    assert "the job continues there; reconnecting" in output and "applied on watchme" in output


@pytest.mark.nightly
def test_early_cut_connection_leaves_the_release_whole_or_untouched(watchme):
    """During the upload or right after it: either nothing was touched, or it continues."""
    push(watchme)
    before = serving(watchme)
    cut = "until pkill -KILL -f 'sshd: ubuntu@'; do sleep 0.01; done"
    cutter = threading.Thread(target=watchme.on_host, args=("sh", "-c", cut), daemon=True)
    cutter.start()
    ran = watchme.up()
    cutter.join(60)
    assert (ran.code == 0) == (serving(watchme) != before)
    assert ran.code == 0 or "nothing touched: the connection was lost before the job began" in ran.output
    watchme.must_up()
    assert serving(watchme) != before


@pytest.mark.nightly
def test_killed_deploying_process_rolls_the_host_back(watchme):
    push(watchme)
    before = serving(watchme)

    def kill() -> None:
        own = run("pgrep", "-f", "infra.deliver").split()
        mine = [pid for pid in own if str(watchme.project) in run("readlink", f"/proc/{pid}/cwd")]
        run("kill", f"-{signal.SIGKILL.value}", *mine)

    with watchme.configured(confirmDeadline="6"), at(watchme, "(re)starting", "true", kill):
        assert watchme.up().code != 0
        for _ in range(60):
            if last_job(watchme)["outcome"] == "rolled back":
                break
            sleep(1)
    assert "not confirmed from outside within 6 s" in last_job(watchme)["line"]
    assert serving(watchme) == before
    watchme.must_up()
    assert serving(watchme) != before


@pytest.mark.nightly
def test_release_unreachable_from_outside_is_rolled_back(watchme):
    """Inside all is healthy; from outside nothing comes through, as after a wrong change of a firewall."""
    push(watchme)
    before = serving(watchme)
    with at(watchme, "waiting for", "iptables -I INPUT -p tcp --dport 443 ! -i lo -j REJECT"):
        ran = watchme.up()
    watchme.on_host("iptables", "-D", "INPUT", "-p", "tcp", "--dport", "443", "!", "-i", "lo", "-j", "REJECT")
    assert ran.code != 0 and re.search(
        r"rolled back on watchme: from outside: https://api\.hey-watch\.me/\S+ did not", ran.output
    )
    assert serving(watchme) == before
    watchme.must_up()


@pytest.mark.nightly
def test_second_job_waits_and_names_the_first(watchme):
    # There is a release to go back to, whichever tests were run before
    push(watchme)
    watchme.must_up()
    push(watchme)
    said: list[Ran] = []
    again = threading.Thread(
        target=lambda: said.append(watchme.command("infra", "rollback", "--stack", "lab", "--host", "watchme"))
    )
    # The first job pauses, so that it is under way when the second one comes
    jobs = "'infra-job-*.service'"
    pause = f"systemctl kill --signal=STOP {jobs} && systemd-run -q --on-active=12 systemctl kill --signal=CONT {jobs}"
    with at(watchme, "(re)starting", pause, again.start):
        watchme.must_up()
    again.join(90)
    assert re.search(r"waiting for another job: apply of release \w{12} by \S+, since \S+ \S+ UTC", said[0].output)
    assert said[0].code == 0 and "applied on watchme" in said[0].output
    status = watchme.command("infra", "status", "--stack", "lab")
    assert status.code == 2 and "behind the stack" in status.output
    push(watchme)
    watchme.must_up()
    assert watchme.command("infra", "status", "--stack", "lab").code == 0


@pytest.mark.nightly
def test_second_update_of_a_stack_is_refused(watchme):
    push(watchme)
    second: list[Ran] = []
    again = threading.Thread(target=lambda: second.append(watchme.up()))
    with at(watchme, "(re)starting", "true", again.start):
        watchme.must_up()
    again.join(90)
    assert second[0].code != 0 and "the stack is currently locked by 1 lock(s)" in second[0].output
    watchme.must_up()


@pytest.mark.nightly
def test_a_hand_edit_is_shown_kept_and_overwritten(watchme):
    path = f"{COMPOSE}/docker-compose.prod.yml"
    watchme.on_host("sed", "-i", "s/mem_limit: 200m/mem_limit: 444m/", path)
    shown = watchme.command("infra", "drift", "--stack", "lab")
    assert shown.code == 2 and "-    mem_limit: 200m\n+    mem_limit: 444m" in shown.output
    assert "444m" in watchme.on_host("cat", path).output
    push(watchme)
    output = watchme.must_up()
    kept = re.search(rf"edited by hand and overwritten: {path} is kept at (\S+)", output)
    assert kept and "444m" in watchme.on_host("cat", kept[1]).output
    assert "444m" not in watchme.on_host("cat", path).output
    assert watchme.command("infra", "drift", "--stack", "lab").code == 0


@pytest.mark.nightly
def test_clock_set_back_ten_years_does_not_break_a_release(watchme):
    """A lab host has the machine's own clock, which is not the test's to set: what is on the disk is from the future
    instead, as after such a jump. That the jump itself moves no deadline is shown in tests/agent."""
    push(watchme)
    watchme.must_up()
    before = serving(watchme)
    ahead = "find /var/lib/infra /home/ubuntu /etc/systemd/system /etc/nginx -exec touch -h -d '+10 years' {} +"
    assert watchme.on_host("sh", "-c", ahead).code == 0
    watchme.on_host("sh", "-c", 'sed -i \'s/"began": "2/"began": "3/\' /var/lib/infra/history/*')
    push(watchme)
    watchme.must_up()
    after = serving(watchme)
    assert after != before and last_job(watchme)["began"].startswith("2")
    ran = watchme.command("infra", "rollback", "--stack", "lab", "--host", "watchme")
    assert ran.code == 0 and serving(watchme) == before
    assert watchme.command("infra", "rollback", "--stack", "lab", "--host", "watchme", after[:12]).code == 0
    assert watchme.command("infra", "status", "--stack", "lab").code == 0


def test_no_job_leaves_its_unit_behind(watchme):
    """Every job's unit is gone once it has ended."""
    units = watchme.on_host("systemctl", "list-units", "--all", "--plain", "--no-legend", "infra-job-*").output
    assert units == ""
