"""What should wake an operator: each condition on a healthy host, and on one where its cause is there."""

import time
from dataclasses import replace
from email.utils import formatdate

import pytest

from agent.monitor.conditions import MEASURES, ConditionResult, evaluate, firing
from agent.monitor.look import HostFacts
from agent.world import CommandResult, Usage
from tests.agent.conditions import MEMINFO, NETWORK, TRANSACTION, moved, watchme
from tests.agent.fake import FakeWorld
from tests.agent.native import release as native_release
from tests.agent.native import serving as native_serving
from tests.agent.stored import current
from tests.support import whole

GiB = 1024**3
LISTENS = "LISTEN 0 128 {at} 0.0.0.0:*\n"


def fired(world: FakeWorld) -> list[ConditionResult]:
    return firing(HostFacts(world, current(world)))


def recall() -> FakeWorld:
    return native_serving(native_release("services", "recall"))


def test_agent_has_every_measure_of_the_catalogue():
    assert {alert.measure for alert in whole().host_alerts} == set(MEASURES)


@pytest.mark.parametrize("make", [watchme, recall], ids=["containers", "native"])
def test_nothing_fires_on_a_healthy_host(make):
    assert fired(make()) == []


def test_every_condition_looked_at_something():
    world = watchme()
    looked = {entry.alert for entry in evaluate(HostFacts(world, current(world)))}
    # The scheduler runs here, so that nothing rests; WatchMe has no backups (test_backups.py), follows no tag, and is on
    # one host (tests/groups/test_alerts.py)
    of_others = {"single-runs-twice", "backup-old", "backup-drill", "tag-not-deployed"}
    of_others |= {"group-host-away", "spread-incomplete", "group-quorum"}
    assert looked == {alert.alert for alert in whole().host_alerts} - of_others


CAUSES = {
    "Docker hangs": (lambda w: setattr(w.docker, "silence", "timed out"), "network could not be checked: Unanswered: Docker did not answer: timed out"),
    "network gone": (lambda w: w.docker.networks.pop(NETWORK), "the network watchme-network does not match its definition: it is missing"),
    "another subnet": (
        lambda w: w.docker.networks.update({NETWORK: ("172.28.0.0/16", "172.28.0.1", "")}),
        "does not match its definition: its subnet is 172.28.0.0/16, its gateway 172.28.0.1",
    ),
    "not attached": (lambda w: w.docker.containers["ast-api"].clear(), "ast-api is not attached to its network as defined: its address in watchme-network is none, expected 172.27.0.17"),
    "at another address": (moved, "ast-api is not attached to its network as defined: its address in watchme-network is 172.27.0.99, expected 172.27.0.17"),
    "a legacy network": (
        lambda w: w.docker.networks.update({"api_ast_default": ("172.20.0.0/16", "172.20.0.1", "api_ast")}),
        "api_ast_default is a legacy network, without a container of this release",
    ),
    "a container in another network too": (
        lambda w: (w.docker.networks.update(old=("172.20.0.0/16", "", "")), w.docker.containers["ast-api"].update(old="172.20.0.2")),
        "old is a legacy network (ast-api)",
    ),
    "a name that is not found": (
        lambda w: setattr(w, "resolve_inside", lambda asked: ["" if name == "ast-api" else w.docker.resolve(pid, name) for pid, name in asked]),
        "the name ast-api does not resolve as expected in watchme-avatar-uploader: no answer, expected 172.27.0.17",
    ),
    "a port for the world": (
        lambda w: w.answers.update({"ss -Hltn": CommandResult(0, LISTENS.format(at="0.0.0.0:8017") + LISTENS.format(at="127.0.0.1:8018") + LISTENS.format(at="*:443"))}),
        "port 8017 of ast-api listens beyond the loopback interface at 0.0.0.0",
    ),
    "a unit that failed": (
        lambda w: w.answers.update({"systemctl list-units --failed": CommandResult(0, "backup.service loaded failed failed Backup\n")}),
        "backup.service has failed",
    ),
    "an unhealthy service": (
        lambda w: setattr(w, "web", lambda url: 500 if ":8017/" in url else 200),
        "ast-api is running, but unhealthy (it answered 500)",
    ),
    "a scheduler too many": (
        lambda w: w.there.discard("/run/infra/single/scheduler"),
        "watchme-scheduler.service is running although its name points to another host",
    ),
    "stopped to free memory": (
        lambda w: w.there.add("/run/infra/stopped/sed-aggregator"),
        "api-sed-aggregator.service is stopped to free memory: it starts again when enough memory is available",
    ),
    "killed for lack of memory": (lambda w: w.docker.killed.extend(["superb-api", "superb-api"]), "the kernel killed processes of superb-api 2 times in the last 3600 s, out of memory"),
    "near its limit": (lambda w: w.used.update({w.docker.pid("superb-api"): 1000 * 1024**2}), "superb-api uses 97.7 % of its memory limit (1000 of 1024 MiB)"),
    "memory": (
        lambda w: w.files.update({"/proc/meminfo": (MEMINFO.replace("4000000", "400000").encode(), 0o444, "root", "root")}),
        "95.0 % of the memory is in use (390 MiB left)",
    ),
    "swap": (
        lambda w: w.files.update({"/proc/meminfo": (MEMINFO.replace("1900000", "500000").encode(), 0o444, "root", "root")}),
        "75.0 % of the swap is in use (488 MiB left)",
    ),
    "disk": (lambda w: setattr(w, "disk", Usage(1, 30 * GiB, 3 * GiB, 10, 9)), "the disk of / is 90.0 % full (3072 MiB left)"),
    "inodes": (lambda w: setattr(w, "disk", Usage(1, 30 * GiB, 20 * GiB, 1000, 50)), "95.0 % of the inodes of / are in use"),
    "clock": (lambda w: setattr(w, "date", formatdate(w.time - 400, usegmt=True)), "the clock is 399 s off"),
    "an unfinished switch": (
        lambda w: w.files.update({"/var/lib/infra/transaction.json": (TRANSACTION, 0o600, "root", "root")}),
        "an interrupted switch was neither committed nor rolled back: the release (abc, by alice@laptop)",
    ),
    "no login": (lambda w: w.answers.update({"docker-credential-ecr-login get": CommandResult(1, "no")}), "this host cannot log in to 754724220380.dkr.ecr.ap-northeast-1.amazonaws.com: no login is available"),
    "a login that is not taken": (lambda w: setattr(w, "fetch", lambda url, *_, **__: (401, b"")), "amazonaws.com: it answered 401"),
}  # fmt: skip


@pytest.mark.parametrize(("cause", "text"), CAUSES.values(), ids=CAUSES)
def test_condition_is_met_on_a_host_of_containers(cause, text):
    world = watchme()
    cause(world)
    found = [entry.text for entry in fired(world)]
    assert any(text in line for line in found), found


def test_failed_measurement_does_not_hide_other_conditions():
    world = watchme()
    world.active.discard("nginx.service")

    def broken(asked):
        raise ValueError("no such namespace")

    world.resolve_inside = broken  # type: ignore[method-assign]
    assert [entry.text for entry in fired(world)] == [
        "name-resolution could not be checked: ValueError: no such namespace",
        "nginx.service is not running: no site of this host can be reached",
    ]


def test_port_at_the_private_address_that_other_hosts_reach_is_not_open():
    world = watchme()
    release = current(world)
    manifest = {**release.manifest, "private": ["10.20.1.77:8017"]}
    look = HostFacts(world, replace(release, manifest=manifest))
    ways = LISTENS.format(at="10.20.1.77:8017") + LISTENS.format(at="127.0.0.1:8017")
    world.answers["ss -Hltn"] = CommandResult(0, ways)
    assert firing(look) == []
    world.answers["ss -Hltn"] = CommandResult(0, ways + LISTENS.format(at="0.0.0.0:8017"))
    assert [(entry.alert, entry.subject) for entry in firing(HostFacts(world, look.release))] == [
        ("open-port", "port 8017 of ast-api")
    ]


def test_stopped_unit_of_a_container_is_one_finding():
    world = watchme()
    world.active.discard("watchme-ast-api.service")
    del world.docker.containers["ast-api"]
    world.web = lambda url: 0 if ":8017/" in url or "behavior-features" in url else 200
    assert [entry.alert for entry in fired(world)] == ["unit-down"]


def test_an_ssh_host_goes_by_its_time_daemon():
    world = native_serving(native_release("home"))
    assert not [entry for entry in evaluate(HostFacts(world, current(world))) if entry.alert == "clock"]
    world.answers["systemctl is-active systemd-timesyncd.service"] = CommandResult(0, "active\ninactive")
    world.answers["timedatectl"] = CommandResult(0, "no\n")
    assert "the clock is 3600 s off or more: the time daemon" in "".join(entry.text for entry in fired(world))


def journal_of(unit: str, count: int) -> CommandResult:
    return CommandResult(0, f'{{"UNIT":"{unit}","_UID":"0","_PID":"1"}}\n' * count)


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (lambda w: w.active.discard("recall-api.service"), "recall-api.service is not running"),
        (lambda w: w.active.discard("nginx.service"), "nginx.service is not running: no site of this host can be reached"),
        (lambda w: w.answers.update({"journalctl MESSAGE_ID=5eb": journal_of("recall-api.service", 4)}), "recall-api.service was restarted 4 times in the last 600 s"),
        (lambda w: w.certificates.update({"example.com": (w.time + 20 * 86400, "")}), "the certificate for example.com is missing, not trusted or about to expire"),
        (lambda w: w.certificates.update({"example.com": (0.0, "certificate has expired")}), "about to expire: certificate has expired"),
        (lambda w: w.answers.update({"tail": CommandResult(0, log(w, 500, 2) + log(w, 200, 18))}), "10.0 % of nginx.service's responses in the last 300 s were server errors (2 of 20)"),
    ],
)  # fmt: skip
def test_condition_is_met_on_a_host_of_native_units(cause, text):
    world = recall()
    cause(world)
    (found,) = fired(world)
    assert text in found.text


def test_restarts_of_user_units_are_counted_per_account():
    world = native_serving(native_release("home"))
    uid = world.account("ice").uid
    lines = f'{{"USER_UNIT":"vocoder.service","_UID":"{uid}"}}\n' * 4 + '{"USER_UNIT":"vocoder.service","_UID":"9"}\n'
    world.answers["journalctl MESSAGE_ID=5eb"] = CommandResult(0, lines + '{"UNIT":"vocoder.service"}\nno line\n')
    assert [entry.text for entry in fired(world)] == ["ice/vocoder.service was restarted 4 times in the last 600 s"]


# What any account can write into the journal
FORGED = [
    '{"UNIT":"recall-api.service","_UID":"1001","_PID":"4711"}',
    '{"UNIT":["recall-api.service","b.service"],"_UID":"0","_PID":"1"}',
    '{"USER_UNIT":"recall-api.service","_UID":"1001","_PID":"4711"}',
    '{"USER_UNIT":["recall-api.service","b"],"_UID":"1001"}',
    '{"UNIT":"recall-api.service"}',
]


@pytest.mark.parametrize("message", ["5eb", "fe6faa94"])
@pytest.mark.parametrize("line", FORGED)
def test_journal_entries_of_accounts_are_not_taken_for_systemds(line, message):
    world = recall()
    world.answers[f"journalctl MESSAGE_ID={message}"] = CommandResult(0, f"{line}\n" * 9)
    assert not [entry for entry in fired(world) if entry.subject == "recall-api.service"]


def log(world, status, count, age=10):
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(world.time - age))
    return f'10.0.0.1 - - [{at}] "GET /ai/x HTTP/1.1" {status} 5 "-" "-"\n' * count


@pytest.mark.parametrize("lines", [(500, 19, 10), (500, 100, 301)], ids=["too few", "too old"])
def test_proxy_log_below_the_bounds_meets_no_condition(lines):
    world = native_serving(native_release("services", "recall"))
    world.answers["tail"] = CommandResult(0, log(world, *lines))
    assert fired(world) == []


def test_log_of_caddy_is_read():
    def caddy(config):
        config["infra:hosts"]["services"]["proxy"] = "caddy"

    world = native_serving(native_release("services", "recall", config=caddy))
    entry = f'"ts":{world.time - 5},"status":%d}}\n'
    answer, failure = '{"logger":"http.log.access.log0",' + entry, '{"logger":"http.log.error.log0",' + entry
    cut, plain = '{"logger":"http.log.access","status":20', "serving initial configuration"
    lines = (answer % 200) * 18 + (failure % 502 + answer % 502) * 2 + f"{cut}\n{plain}\n"
    world.answers["journalctl -u caddy.service"] = CommandResult(0, lines)
    (found,) = fired(world)
    assert "10.0 % of caddy.service's responses in the last 300 s were server errors (2 of 20)" in found.text


def test_hostile_log_lines_do_not_break_the_measurement():
    world = native_serving(native_release("services", "recall"))
    hostile = log(world, 500, 30).replace("- - [", "- [a [")
    world.answers["tail"] = CommandResult(0, hostile + log(world, 200, 1).replace("/20", "/xx"))
    (found,) = fired(world)
    assert "(30 of 30)" in found.text
