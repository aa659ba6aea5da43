"""The emulator's bad days, and the stand-in's patience with them."""

import json

import pytest
from botocore.stub import Stubber

from lab.cloud.faults import ApiRequest
from lab.cloud.unsteady import DNS_DELAY, KNOWN_AFTER, MOST, Unsteady
from lab.fakes.aws import patience
from lab.fakes.aws.cloud import Cloud

VPC = b"<CreateVpcResponse><vpc><vpcId>vpc-0123456789abcdef0</vpcId></vpc></CreateVpcResponse>"


@pytest.fixture
def bad_day(tmp_path):
    known = [[{"Name": "a", "ResourceRecords": [{"Value": "192.0.2.1"}]}]]
    made = Unsteady(tmp_path / "unsteady.json", lambda: known[0])
    made.known = known
    return made


def begins(made: Unsteady, seed: int, share: float) -> None:
    made.file.write_text(json.dumps({"seed": seed, "share": share}))


def asks(action: str, body: str = "", service: str = "ec2") -> ApiRequest:
    return ApiRequest(service, "ap-northeast-1", action, body)


def test_no_request_is_refused_without_a_file(bad_day):
    assert bad_day.refusal(asks("CreateVpc")) is None
    assert bad_day.records() == bad_day.known[0]


def test_same_seed_refuses_the_same_requests(bad_day):
    def refused(seed: int) -> list[bool]:
        bad_day.file.unlink(missing_ok=True)
        bad_day.refusal(asks("x"))
        begins(bad_day, seed, 0.3)
        return [bad_day.refusal(asks("DescribeVpcs")) is not None for _ in range(200)]

    first = refused(7)
    assert refused(7) == first != refused(8) and 30 < sum(first) < 90


def test_new_resource_is_unknown_to_some_requests(bad_day):
    counts = set()
    for seed in range(20):
        begins(bad_day, seed, 0.0)
        bad_day.note_answer(asks("CreateVpc", "Action=CreateVpc"), VPC)
        answers = [bad_day.refusal(asks("CreateSubnet", "VpcId=vpc-0123456789abcdef0&x=1")) for _ in range(MOST + 1)]
        counts.add(sum(answer is not None for answer in answers))
        assert {answer[0] for answer in answers if answer} <= {"InvalidVpcID.NotFound"} and answers[-1] is None
    assert counts == set(range(MOST + 1))


def test_resource_is_known_everywhere_after_a_while(bad_day, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("lab.cloud.unsteady.time.monotonic", lambda: now[0])
    for seed in range(20):
        begins(bad_day, seed, 0.0)
        bad_day.note_answer(asks("CreateVpc", "Action=CreateVpc"), VPC)
        now[0] += KNOWN_AFTER
        assert bad_day.refusal(asks("DeleteVpc", "VpcId=vpc-0123456789abcdef0")) is None


def test_new_role_is_unknown_to_some_requests(bad_day):
    begins(bad_day, 3, 0.0)
    for number in range(20):
        bad_day.note_answer(asks("CreateRole", f"RoleName=r{number}", "iam"), b"")
    codes = {bad_day.refusal(asks("PutRolePolicy", f"RoleName=r{n}", "iam")) for n in range(20)}
    assert codes == {None, ("NoSuchEntity", "400 Bad Request")}


def test_a_role_cannot_be_assumed_at_once(bad_day):
    begins(bad_day, 3, 0.0)
    for number in range(20):
        bad_day.note_answer(asks("CreateRole", f"RoleName=r{number}", "iam"), b"")
    arns = [f"RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr{number}&x=1" for number in range(20)]
    codes = {bad_day.refusal(asks("AssumeRole", arn, "sts")) for arn in arns}
    assert codes == {None, ("AccessDenied", "400 Bad Request")}


def test_listing_records_does_not_delay_changes(bad_day):
    begins(bad_day, 1, 0.0)
    assert bad_day.refusal(asks("GET /2013-04-01/hostedzone/Z/rrset", "", "route53")) is None
    bad_day.known[0] = []
    assert bad_day.records() == []


def test_a_changed_record_is_answered_later(bad_day, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("lab.cloud.unsteady.time.monotonic", lambda: now[0])
    begins(bad_day, 1, 0.0)
    earlier = bad_day.known[0]
    assert bad_day.refusal(asks("POST /2013-04-01/hostedzone/Z/rrset/", "", "route53")) is None
    bad_day.known[0] = []
    change = asks("GET /2013-04-01/change/C1", "", "route53")
    assert bad_day.records() == earlier
    assert bad_day.note_answer(change, b"<Status>INSYNC</Status>") == b"<Status>PENDING</Status>"
    now[0] += DNS_DELAY
    assert (
        bad_day.records() == []
        and bad_day.note_answer(change, b"<Status>INSYNC</Status>") == b"<Status>INSYNC</Status>"
    )


def test_provider_waits_only_for_its_own_creations(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    cloud = Cloud("ap-northeast-1")
    client = cloud.client("ec2")
    with Stubber(client) as stub:
        stub.add_response("create_vpc", {"Vpc": {"VpcId": "vpc-1"}})
        client.create_vpc(CidrBlock="10.0.0.0/16")
    absent = (None, {"Error": {"Code": "InvalidVpcID.NotFound"}})
    ask = lambda id: cloud.patience._pause(absent, {"body": {"VpcId": id}})  # noqa: E731
    assert (ask("vpc-1"), ask("vpc-2")) == (patience.PAUSE, None)
    assert cloud.patience._pause((None, {}), {"body": {"VpcId": "vpc-1"}}) is None
    client.meta.events.emit(
        "before-call.ec2.DeleteVpc",
        model=client.meta.service_model.operation_model("DeleteVpc"),
        params={"body": {"VpcId": "vpc-1"}},
        request_signer=None,
    )
    assert ask("vpc-1") is None, "what is deleted is gone"
