"""`infra access`: SSH for one address and a limited time, in an emulated EC2."""

import http.server
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from infra import temporary_ssh, within
from infra.account import access as rights
from infra.cli import access
from infra.errors import InfraError
from infra.main import app
from infra.orphans import command as orphans
from tests.orphans.world import PREFIX, PROVIDERS, REGION, emulated_account, state
from tests.support import HOME, ROOT, hear_signals, stack

GROUP = "aws:ec2/securityGroup:SecurityGroup"
OTHERS = "198.51.100.9"
ADDRESS = "9.9.9.9"


@pytest.fixture
def world(monkeypatch):
    """A stack with its security group in the emulated AWS, which lets SSH be opened for a time."""
    with emulated_account(monkeypatch) as account:
        account.create_until(GROUP)
        group = account.made["SecurityGroup"]
        entry = {
            "urn": f"{PREFIX}{GROUP}::network-{REGION}-hosts", "type": GROUP, "custom": True, "id": group,
            "inputs": {}, "outputs": {}, "provider": f"{PROVIDERS[REGION]}::id",
        }  # fmt: skip
        made = SimpleNamespace(group=group, ec2=boto3.client("ec2", region_name=REGION), state=state(resources=[entry]))
        made.configure = lambda **keys: monkeypatch.setattr(
            access, "stack_of", lambda name: stack(lambda c: c.update({f"infra:{k}": v for k, v in keys.items()}), name)
        )
        made.configure(temporarySsh=True, adminCidrs=["198.51.100.0/24"])
        monkeypatch.setattr(orphans, "export_state", lambda name: made.state)
        for name in [name for name in os.environ if name.startswith("GITHUB_")]:
            monkeypatch.delenv(name)
        yield made


def rules(world) -> dict[str, dict[str, str]]:
    """Address → tags, of the rules that let SSH in."""
    filters = [{"Name": "group-id", "Values": [world.group]}]
    found = world.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return {
        rule["CidrIpv4"]: {tag["Key"]: tag["Value"] for tag in rule["Tags"]}
        for rule in found
        if rule.get("FromPort") == 22
    }


def run(*words: str):
    return CliRunner().invoke(app, ["access", *words])


def as_job(monkeypatch, run: str) -> None:
    values = {"RUN_ID": run, "RUN_ATTEMPT": "2", "REPOSITORY": "acme/infra", "JOB": "deploy", "ACTOR": "octo[bot]"}
    for name, value in values.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)


def opened_before(world, minutes: int, address: str = OTHERS) -> None:
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=minutes)
    temporary_ssh.Gate("prod", [(REGION, world.group)]).open(address, expires)


def test_address_is_opened_with_tags_and_closed_again(world, monkeypatch):
    as_job(monkeypatch, "77")
    ran = run("open", "--stack", "prod", "--for", "45m", "--address", ADDRESS)
    assert ran.exit_code == 0, ran.output
    ((cidr, tags),) = rules(world).items()
    until = datetime.strptime(tags["infra:expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) - datetime.now(UTC)
    assert cidr == "9.9.9.9/32" and timedelta(minutes=44) < until <= timedelta(minutes=45)
    assert tags["infra:stack"] == "prod" and tags["infra:by"] == "acme/infra run 77.2 job deploy of octo-bot-"
    assert f"SSH is open for 9.9.9.9/32 in {world.group} ({REGION}), opened for acme/infra run 77.2 job" in ran.stderr
    assert "9.9.9.9/32" in run("list", "--stack", "prod").stdout
    as_job(monkeypatch, "78")
    assert "nothing to close" in run("close", "--stack", "prod").stdout and rules(world)
    as_job(monkeypatch, "77")
    assert "closed SSH for 9.9.9.9/32" in run("close", "--stack", "prod").stdout and not rules(world)
    assert "open for no address" in run("list", "--stack", "prod").stdout


def test_two_jobs_of_one_address_share_its_rule_until_the_last_ends(world, monkeypatch):
    as_job(monkeypatch, "1")
    opened_before(world, 60, ADDRESS)
    as_job(monkeypatch, "2")
    assert run("open", "--stack", "prod", "--for", "5m", "--address", ADDRESS).exit_code == 0
    (tags,) = rules(world).values()
    assert tags["infra:by"].split(" + ") == [f"acme/infra run {n}.2 job deploy of octo-bot-" for n in (1, 2)]
    assert datetime.strptime(tags["infra:expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) > datetime.now(UTC) + timedelta(minutes=50)  # fmt: skip
    as_job(monkeypatch, "1")
    assert "nothing to close" in run("close", "--stack", "prod").stdout
    ((cidr, tags),) = rules(world).items()
    assert cidr == "9.9.9.9/32" and tags["infra:by"] == "acme/infra run 2.2 job deploy of octo-bot-"
    as_job(monkeypatch, "2")
    run("close", "--stack", "prod")
    assert not rules(world)


def test_expired_rules_go_and_others_stay(world, monkeypatch):
    opened_before(world, -1, "9.9.9.1")
    opened_before(world, 30, "9.9.9.2")
    by_hand = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "9.9.9.3/32"}]}
    world.ec2.authorize_security_group_ingress(GroupId=world.group, IpPermissions=[by_hand])
    assert "(over)" in run("list", "--stack", "prod").stdout
    ran = run("close", "--expired", "--stack", "prod")
    assert ran.exit_code == 0 and set(rules(world)) == {"9.9.9.2/32", "9.9.9.3/32"}
    as_job(monkeypatch, "5")
    assert "closed SSH for 9.9.9.2/32" in run("close", "--all", "--stack", "prod").stdout
    assert set(rules(world)) == {"9.9.9.3/32"}


def test_every_update_closes_what_is_over(world, monkeypatch):
    opened_before(world, -1)
    said: list[str] = []
    orphans.settle("prod", said.append)
    assert not rules(world) and said[0].startswith(f"closed SSH for {OTHERS}/32 in {world.group}")
    refused = ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "Revoke")
    monkeypatch.setattr(temporary_ssh.Gate, "openings", lambda _: (_ for _ in ()).throw(InfraError(str(refused))))
    orphans.settle("prod", said.append)
    assert "SSH that was opened for a time could not be looked at" in said[1], "and the update goes on"


def test_address_of_administrators_is_not_opened(world):
    ran = run("open", "--stack", "prod", "--address", "198.51.100.7")
    assert ran.exit_code == 1 and "no address that the internet knows" in str(ran.exception)
    world.configure(temporarySsh=True, adminCidrs=["9.9.0.0/16"])
    ran = run("open", "--stack", "prod", "--address", ADDRESS)
    assert ran.exit_code == 0 and "is within infra:adminCidrs: nothing has to be opened" in ran.stderr
    assert not rules(world)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--for", "7h"], "--for 7h: at most 6h"),
        (["--for", "soon"], "--for soon: a time such as"),
        (["--address", "9.9.9.0/24"], "must be one address of IPv4"),
        (["--address", "10.0.0.1"], "no address that the internet knows"),
        (["--address", "2001:db8::1"], "must be one address of IPv4"),
    ],
)
def test_wider_or_longer_openings_are_refused(world, words, line):
    ran = run("open", "--stack", "prod", *words)
    assert ran.exit_code == 1 and line in str(ran.exception) and not rules(world)


def test_nothing_is_opened_without_permission_in_the_configuration(world):
    world.configure(temporarySsh=False)
    for words in (["open"], ["run", "--", "true"]):
        ran = run(words[0], "--stack", "prod", *words[1:])
        assert ran.exit_code == 1 and "set infra:temporarySsh: true in Pulumi.prod.yaml" in str(ran.exception)
    ran = run("open", "--if-allowed", "--stack", "prod")
    assert ran.exit_code == 0 and "nothing was opened" in ran.stderr and not rules(world)
    with pytest.raises(InfraError, match="does not let SSH be opened"):
        rights.policy(stack())


def test_stack_without_a_security_group_is_refused(world):
    world.configure(temporarySsh=True, hosts={"home": {**HOME, "systems": ["watchme"]}})
    ran = run("open", "--stack", "prod", "--address", ADDRESS)
    assert ran.exit_code == 1 and "has no host of kind ec2" in str(ran.exception)
    world.configure(temporarySsh=True)
    world.state = state(resources=[])
    ran = run("open", "--stack", "prod", "--address", ADDRESS)
    assert ran.exit_code == 1 and "has no security group yet: run the first pulumi up" in str(ran.exception)


def test_rule_that_was_made_by_hand_is_left_alone(world):
    by_hand = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "9.9.9.9/32"}]}
    world.ec2.authorize_security_group_ingress(GroupId=world.group, IpPermissions=[by_hand])
    ran = run("open", "--stack", "prod", "--address", ADDRESS)
    assert ran.exit_code == 1 and "by a rule that infra did not make" in str(ran.exception)
    run("close", "--all", "--stack", "prod")
    assert set(rules(world)) == {"9.9.9.9/32"}


@contextmanager
def answering(text: str):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def test_own_address_is_asked_of_a_service(monkeypatch):
    with answering("9.9.9.9\n") as url:
        monkeypatch.setattr(temporary_ssh, "CHECKIP", url)
        assert temporary_ssh.own_address() == "9.9.9.9"
    with answering("<html>log in\x1b[2J") as url, pytest.raises(InfraError, match="must be one address") as error:
        monkeypatch.setattr(temporary_ssh, "CHECKIP", url)
        temporary_ssh.own_address()
    assert "\x1b" not in str(error.value)
    with pytest.raises(InfraError, match="name the address with --address"):
        temporary_ssh.own_address()


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.mark.parametrize(("script", "code"), [("", 0), ("raise SystemExit(7)", 7)])
def test_command_runs_with_ssh_open_and_it_is_closed_after_it(world, monkeypatch, script, code):
    during: list[dict] = []

    def look(command, signals, real=within._run):
        during.append(rules(world))
        return real(command, signals)

    monkeypatch.setattr(within, "_run", look)
    ran = run("run", "--stack", "prod", "--address", ADDRESS, "--", *python(script))
    assert ran.exit_code == code and list(during[0]) == ["9.9.9.9/32"] and not rules(world)
    assert "SSH is open for 9.9.9.9/32" in ran.stderr and "closed SSH for 9.9.9.9/32" in ran.stderr


def test_ssh_is_closed_where_the_command_does_not_exist_or_opening_failed_midway(world, monkeypatch):
    ran = run("run", "--stack", "prod", "--address", ADDRESS, "--", "no-such-program")
    assert ran.exit_code == 1 and "there is no such program" in str(ran.exception) and not rules(world)

    def fail(gate, address, expires, real=temporary_ssh.Gate.open):
        real(gate, address, expires)
        raise InfraError("the answer was lost")

    monkeypatch.setattr(temporary_ssh.Gate, "open", fail)
    ran = run("run", "--stack", "prod", "--address", ADDRESS, "--", "true")
    assert str(ran.exception) == "the answer was lost" and not rules(world)


def test_closing_that_failed_is_said_with_the_way_to_repeat_it(world, monkeypatch):
    monkeypatch.setattr(temporary_ssh.Gate, "close_own", lambda _: (_ for _ in ()).throw(InfraError("AWS is away")))
    ran = run("run", "--stack", "prod", "--address", ADDRESS, "--", "true")
    assert ran.exit_code == 0 and "infra: AWS is away; infra access close --stack prod closes it" in ran.stderr


WRAPPED = """
import sys
from infra import within
child = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]
raise SystemExit(within.run(child, lambda: print("open", flush=True), lambda: print("closed", flush=True)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ssh_is_closed_when_a_signal_ends_the_command(number):
    with subprocess.Popen(
        python(WRAPPED),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=hear_signals,
    ) as process:
        assert process.stdout
        assert [process.stdout.readline() for _ in range(2)] == ["open\n", "begun\n"]
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert out == "closed\n" and process.returncode != 0


def test_signal_while_opening_starts_no_command():
    script = """
import os, signal
from infra import within
before = lambda: os.kill(os.getpid(), signal.SIGTERM)
raise SystemExit(within.run(["echo", "ran"], before, lambda: print("closed", flush=True)))
"""
    ran = subprocess.run(python(script), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (128 + signal.SIGTERM, "closed\n")


def test_rights_are_those_of_the_stacks_groups(world):
    made = rights.policy(access.stack_of("prod"))
    statements = cast(list[dict[str, Any]], made["Statement"])
    by_action = {(s["Action"][0], s["Resource"][0].rpartition(":")[2]): s.get("Condition") for s in statements}
    account = access.stack_of("prod").accountId
    assert all(s["Resource"] == ["*"] or f":{account}:security-group" in s["Resource"][0] for s in statements)
    assert [key for key, condition in by_action.items() if condition is None] == [
        ("ec2:DescribeSecurityGroupRules", "*")
    ]
    (groups,) = [s for s in statements if rights.CLOSE in s["Action"]]
    assert groups["Action"] == [rights.OPEN, rights.CLOSE]
    assert groups["Condition"]["StringEquals"]["aws:ResourceTag/stack"] == "prod"


def test_openings_of_another_stack_are_no_business_of_this_one(world):
    expires = datetime.now(UTC) - timedelta(hours=1)
    temporary_ssh.Gate("dev", [(REGION, world.group)]).open(OTHERS, expires)
    assert "nothing to close" in run("close", "--all", "--stack", "prod").stdout and rules(world)


def test_rule_that_is_gone_already_is_no_error(world):
    opened_before(world, 30)
    gate = temporary_ssh.Gate("prod", [(REGION, world.group)])
    there = [*gate.openings()]
    assert [one.cidr for one in gate.close(there)] == [f"{OTHERS}/32"] and gate.close(there) == []
