"""Each step of a refresh in one line, with its remedy."""

import json

import pytest

from infra.drift.finding import apart, text
from infra.drift.refresh import Words, findings
from infra.preview.graph import kinds

WORDS = Words("prod", ["web", "web-two"])
HEAL = "pulumi up --refresh --stack prod"
INSTANCE = "aws:ec2/instance:Instance"
RECORD = "aws:route53/record:Record"


def entry(op: str, type: str, name: str, old: dict, new: dict, *paths: str) -> dict:
    urn = f"urn:pulumi:prod::infra::infra:index:Host${type}::{name}"
    return {
        "op": op, "urn": urn, "oldState": {"id": "id-1", "inputs": old, "outputs": old},
        "newState": {"id": "id-1", "inputs": old, "outputs": new}, "detailedDiff": {key: {} for key in paths},
    }  # fmt: skip


def lines(*steps: dict) -> list[str]:
    return [str(finding) for finding in findings(steps, WORDS)]


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (
            entry("update", INSTANCE, "web-two-ap-northeast-1-instance", {"instanceType": "t4g.large"}, {"instanceType": "t4g.small"}, "instanceType"),
            f"machine web-two-ap-northeast-1-instance (id-1): is a t4g.small, the last update left t4g.large; {HEAL} "
            "puts it back; to keep it, set it in infra:hosts, web-two, instanceType",
        ),
        (
            entry("delete", INSTANCE, "web-ap-northeast-1-instance", {}, {}),
            "machine web-ap-northeast-1-instance (id-1): is gone from AWS; pulumi up --stack prod makes another in "
            "its place: docs/runbooks/lost-host.md",
        ),
        (
            entry("update", INSTANCE, "web-x-instance", {"rootBlockDevice": {"volumeSize": 30, "tags": {"a": "b"}}},
                  {"rootBlockDevice": {"volumeSize": 60, "tags": {"a": "b"}}}, "rootBlockDevice"),
            "machine web-x-instance (id-1): has rootBlockDevice.volumeSize 60, the last update left 30; AWS cannot "
            "shrink a disk: set it in infra:hosts, web, volume",
        ),
        (
            entry("update", RECORD, "api.example.com", {"records": ["192.0.2.1"]}, {"records": ["198.51.100.7"]}, "records"),
            f"public name api.example.com (id-1): leads to 198.51.100.7, the last update left 192.0.2.1; {HEAL} puts "
            "it back",
        ),
        (
            entry("update", RECORD, "api.example.com", {"records": ["192.0.2.1"]}, {"records": ["198.51.100.7"]}, "records[0]"),
            f"public name api.example.com (id-1): has records[0] 198.51.100.7, the last update left 192.0.2.1; {HEAL} "
            "puts it back",
        ),
        (
            entry("update", "aws:ec2/vpc:Vpc", "v", {"tags": {"a.b": "x"}}, {"tags": {}}, 'tags["a.b"]'),
            f'network v (id-1): has tags["a.b"] nothing, the last update left x; {HEAL} puts it back',
        ),
        (
            entry("update", "aws:new/kind:Kind", "k", {"a": "x"}, {"a": "\x1b[2Jy\nz"}, "a"),
            f"Kind k (id-1): has a \\x1b[2Jy\\nz, the last update left x; {HEAL} puts it back",
        ),
    ],
    ids=["another type", "a machine gone", "a larger disk", "a record", "a record by its number", "a tag with a dot",
         "a kind that no table knows, with text that a terminal would obey"],
)  # fmt: skip
def test_a_step_is_a_line_with_its_remedy(step, line):
    assert lines(step) == [line]


def test_only_the_difference_of_policies_is_shown():
    """Two long texts that begin alike would look the same."""

    def of(action: str) -> str:
        head = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
        return json.dumps(
            {"Version": "2012-10-17", "Statement": [head, {"Effect": "Allow", "Action": action, "Resource": "*"}]}
        )

    role = "aws:iam/rolePolicy:RolePolicy"
    (line,) = lines(
        entry("update", role, "web-policy", {"policy": of("ecr:BatchGetImage")}, {"policy": of("*")}, "policy")
    )
    now, before = line.split("has policy ")[1].split(", the last update left ")
    assert '"Action": "*"' in now and '"Action": "ecr:BatchGetImage"' in before
    again = json.dumps(json.loads(of("*")), indent=2)
    assert apart(of("*"), again)[0] == apart(of("*"), again)[1], "the same policy, written otherwise"


def test_unchanged_and_local_resources_are_no_drift():
    same = entry("refresh", INSTANCE, "web-x-instance", {"instanceType": "a"}, {"instanceType": "a"})
    command = entry("update", "command:local:Command", "web-ready", {"stdin": "a"}, {"stdin": "b"}, "stdin")
    provider = entry("update", "pulumi:providers:aws", "aws", {"region": "a"}, {"region": "b"}, "region")
    assert lines(same, command, provider) == []


def test_each_kind_that_can_be_gone_has_its_remedy():
    for type, kind in kinds().items():
        if type.startswith("aws:"):
            (line,) = lines(entry("delete", type, "x", {}, {}))
            assert "is gone from AWS; " in line and "--stack prod" in line and "{" not in line, kind


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "nothing"),
        ([], "nothing"),
        (["a", "b"], "a, b"),
        (False, "false"),
        ({"a": 1}, '{"a": 1}'),
        ("x" * 200, "x" * 80 + "…"),
        ({"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}, "[secret]"),
        ([{"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}], "[secret]"),
    ],
)
def test_values_are_shortened_and_secrets_hidden(value, said):
    assert text(value) == said
