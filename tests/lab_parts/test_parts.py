"""The lab's own parts that need no container: a stand-in that lies would make every other test worthless."""

import hashlib
import json
import os
import signal
import time
from types import SimpleNamespace

import pytest
from dnslib import DNSRecord

from lab import workspace
from lab.cloud import confinement
from lab.cloud.dns import Zone
from lab.cloud.metadata import Metadata
from lab.cloud.permissions import NAMES, NAMESPACE, TYPES, conditions, holds, trusts
from lab.images import write_layout
from lab.run import Daemon, run, wait_until
from lab.say import LabError
from lab.settings import Lab
from lab.stubs import stubs

CONDITION = {"ForAllValues:StringEquals": {NAMES: ["_acme-challenge.a"], TYPES: ["TXT"]}}
CASES = {
    "as allowed": ({NAMES: ["_acme-challenge.a"], TYPES: ["TXT"]}, True),
    "another name": ({NAMES: ["_acme-challenge.b"], TYPES: ["TXT"]}, False),
    "one of two names": ({NAMES: ["_acme-challenge.a", "b"], TYPES: ["TXT"]}, False),
    "another type": ({NAMES: ["_acme-challenge.a"], TYPES: ["A"]}, False),
}


@pytest.mark.parametrize(("values", "expected"), CASES.values(), ids=CASES)
def test_condition(values, expected):
    assert holds(CONDITION, values) is expected


def test_an_unknown_condition_does_not_hold():
    assert not holds({"StringNotLike": {NAMES: ["*"]}}, {NAMES: ["a"]})


def test_s3_prefix_is_matched_against_its_pattern():
    condition = {"StringLike": {"s3:prefix": "box/*"}}
    assert holds(condition, {"s3:prefix": ["box/locks/"]})
    assert not holds(condition, {"s3:prefix": ["other/locks/"]}) and not holds(condition, {"s3:prefix": ["box"]})
    assert not holds(condition, {})
    assert not holds({"StringEquals": {"aws:PrincipalOrgID": "o"}}, {})
    assert holds({}, {})


REPORTED = {
    "as a form": ("", {"Action": ["PutMetricData"], "Namespace": ["infra/prod"]}),
    "in JSON": ('{"Namespace": "infra/prod"}', {}),
}


@pytest.mark.parametrize(("body", "form"), REPORTED.values(), ids=REPORTED)
def test_the_namespace_of_metrics_is_a_condition(body, form):
    found = conditions(SimpleNamespace(service_name="cloudwatch", region="ap-northeast-1", body=body, querystring=form))
    assert holds({"StringEquals": {NAMESPACE: "infra/prod"}}, found)
    assert not holds({"StringEquals": {NAMESPACE: "infra/dev"}}, found)
    assert not holds({"StringEquals": {NAMESPACE: "infra/prod"}}, {})


class Instance:
    id, region_name, placement = "i-1", "ap-northeast-1", "ap-northeast-1a"


@pytest.fixture
def metadata():
    known = {"10.0.0.2": Instance}
    return Metadata(known.get, lambda _: {"AccessKeyId": "k"}, lambda _: "role", lambda _: "127.71.0.2")


def test_metadata_answers_by_the_address_of_the_host(metadata):
    _, token = metadata.answer("PUT", "/latest/api/token", None, "10.0.0.2")
    assert metadata.answer("GET", "/latest/meta-data/instance-id", token, "10.0.0.2") == ("200 OK", "i-1")
    path = "/latest/meta-data/iam/security-credentials"
    assert metadata.answer("GET", f"{path}/", token, "10.0.0.2") == ("200 OK", "role")
    assert json.loads(metadata.answer("GET", f"{path}/role", token, "10.0.0.2")[1])["AccessKeyId"] == "k"
    assert metadata.answer("GET", f"{path}/other", token, "10.0.0.2")[0] == "404 Not Found"


def test_metadata_needs_a_token_and_a_known_host(metadata):
    assert metadata.answer("GET", "/latest/meta-data/instance-id", None, "10.0.0.2")[0] == "401 Unauthorized"
    assert metadata.answer("PUT", "/latest/api/token", None, "10.0.0.9")[0] == "404 Not Found"


RECORDS = [
    {"Name": "api.hey-watch.me.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "127.71.0.2"}]},
    {"Name": "_acme-challenge.api.hey-watch.me.", "Type": "TXT", "TTL": 10, "ResourceRecords": [{"Value": '"token"'}]},
]


def asked(name: str, kind: str) -> list[str]:
    reply = Zone(lambda: RECORDS).resolve(DNSRecord.question(name, kind), None)
    return [str(answer.rdata) for answer in reply.rr]


def test_dns_answers_from_the_records():
    assert asked("API.hey-watch.me", "A") == ["127.71.0.2"]
    assert asked("_acme-challenge.api.hey-watch.me", "TXT") == ['"token"']
    assert asked("api.hey-watch.me", "TXT") == [] and asked("www.hey-watch.me", "A") == []


def test_dns_says_so_when_the_cloud_is_broken():
    def broken():
        raise RuntimeError("no cloud")

    assert Zone(broken).resolve(DNSRecord.question("a.b"), None).header.rcode == 2


def test_stub_images_are_what_their_digests_say(tmp_path):
    write_layout(tmp_path / "layout", {"amd64": b"program", "arm64": b"other"}, {"STUB_PORT": "1"})
    for blob in (tmp_path / "layout/blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    (named,) = json.loads((tmp_path / "layout/index.json").read_text())["manifests"]
    index = json.loads((tmp_path / "layout/blobs/sha256" / named["digest"].removeprefix("sha256:")).read_text())
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]


def test_there_is_a_stub_for_each_running_service():
    assert len(stubs()) == 13


def test_two_labs_share_no_address(tmp_path):
    one, two = Lab("lab", 71, tmp_path), Lab("test", 72, tmp_path)
    for name in ("bridge", "services", "gateway", "subnet", "endpoint", "dns", "image"):
        assert getattr(one, name) != getattr(two, name)
    assert not set(one.host_names.values()) & set(two.host_names.values())


def test_daemon_is_identified_by_pid_and_start_time(tmp_path):
    daemon = Daemon("sleeper", tmp_path)
    daemon.start("sleep", "30")
    assert daemon.alive
    pid, _ = daemon.record.read_text().split()
    daemon.record.write_text(f"{pid} 1")
    assert not daemon.alive, "another process with the same id is not ours"
    daemon.stop()
    assert run("ps", "-o", "comm=", "-p", pid).strip() == "sleep"
    os.kill(int(pid), signal.SIGTERM)


def test_a_dead_daemon_is_reported_with_its_last_words(tmp_path):
    daemon = Daemon("dying", tmp_path)
    daemon.start("sh", "-c", "echo no such file; exit 1")
    time.sleep(0.2)
    with pytest.raises(LabError, match="no such file"):
        wait_until("thing", lambda: False, daemon)


ROLE = "arn:aws:iam::111122223333:user/owner"
ASSUMED = "arn:aws:sts::111122223333:assumed-role/deploy/session"


@pytest.mark.parametrize(
    ("trusted", "who", "is_trusted"),
    [
        ("*", ROLE, True),
        (ROLE, ROLE, True),
        ([ASSUMED, ROLE], ROLE, True),
        ("arn:aws:iam::111122223333:root", ROLE, True),
        ("arn:aws:iam::111122223333:root", ASSUMED, True),
        ("arn:aws:iam::444455556666:root", ROLE, False),
        ("arn:aws:iam::111122223333:user/another", ROLE, False),
        ([], ROLE, False),
    ],
)
def test_trusted_account_includes_all_its_users(trusted, who, is_trusted):
    assert trusts({"AWS": trusted}, who) is is_trusted
    assert not trusts({"Service": "ec2.amazonaws.com"}, who)


def test_a_hosts_container_does_not_reach_the_machines_kernel_or_clock(tmp_path):
    given = confinement.options(Lab("x", 79, tmp_path))
    added = {given[number + 1] for number, word in enumerate(given) if word == "--cap-add"}
    assert given[:2] == ["--cap-drop", "ALL"]
    assert not added & {"ALL", "SYS_MODULE", "SYS_RAWIO", "SYS_TIME", "DAC_READ_SEARCH", "BPF", "SYSLOG", "MAC_ADMIN"}
    (rule,) = json.loads((tmp_path / "run/seccomp.json").read_text())["syscalls"]
    assert {"init_module", "finit_module", "kexec_load", "open_by_handle_at", "clock_settime"} <= set(rule["names"])
    assert rule["action"] == "SCMP_ACT_ERRNO"


def test_outdated_lab_configuration_is_noticed(tmp_path):
    lab = Lab("x", 79, tmp_path / ".lab-x")
    (tmp_path / "Pulumi.lab.yaml").write_text("config: {}\n")
    assert not workspace.is_outdated(lab, tmp_path), "a lab of an earlier version has no such note"
    lab.directory.mkdir()
    (lab.directory / "Pulumi.lab.origin.yaml").write_text("config: {}\n")
    assert not workspace.is_outdated(lab, tmp_path)
    (tmp_path / "Pulumi.lab.yaml").write_text("config: {a: 1}\n")
    assert workspace.is_outdated(lab, tmp_path)


@pytest.mark.parametrize(("bounding", "may"), [("000001ffffffffff", True), ("000001fffeffffff", False)])
def test_a_file_system_may_grow_where_this_machine_may_let_it(bounding, may):
    assert confinement.may_grow(f"CapEff:\t0000000000000000\nCapBnd:\t{bounding}\n") is may
