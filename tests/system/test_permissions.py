"""What the host may do in AWS, with the emulator's enforcement on: asked by the host itself, as its own programs ask."""

import json

import pytest

from tests.support import WATCHME

pytestmark = pytest.mark.lab
REPOSITORIES = [entry.get("repository") or entry["image"]["repository"] for entry in WATCHME["services"]]

ASK = r"""
import json, sys
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

region = "ap-northeast-1"
answers = []
for service, operation, arguments in json.load(sys.stdin):
    endpoint = {"endpoint_url": "https://ec2.ap-northeast-1.amazonaws.com"} if service in ("iam", "sts", "sns") else {}
    client = boto3.client(service, region_name=region, config=Config(retries={"max_attempts": 0}), **endpoint)
    try:
        getattr(client, operation)(**arguments)
        answers.append("allowed")
    except ClientError as error:
        answers.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def ask(system):
    def asked(*questions):
        ran = system.on_host("python3", "-W", "ignore", "-c", ASK, stdin=json.dumps(questions))
        assert ran.code == 0, ran.output
        return json.loads(ran.output.splitlines()[-1])

    return asked


@pytest.fixture(scope="module")
def zone(system):
    return system.command(
        "python3", "-c",
        "import boto3; print(boto3.client('route53', region_name='us-east-1').list_hosted_zones()['HostedZones'][0]['Id'])",
    ).output.strip().removeprefix("/hostedzone/")  # fmt: skip


def change(zone: str, name: str, kind: str, value: str) -> tuple[str, str, dict]:
    record = {"Name": name, "Type": kind, "TTL": 10, "ResourceRecords": [{"Value": value}]}
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    return ("route53", "change_resource_record_sets", {"HostedZoneId": zone, "ChangeBatch": batch})


def test_host_may_pull_from_its_repositories(ask):
    assert len(REPOSITORIES) == 15
    ids = [{"imageTag": "latest"}]
    images = [("ecr", "batch_get_image", {"repositoryName": name, "imageIds": ids}) for name in REPOSITORIES]
    assert ask(("ecr", "get_authorization_token", {}), *images) == ["allowed"] * 16


def test_host_pulls_with_the_token_of_its_role(system):
    image = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-web:latest"
    assert system.on_host("docker", "pull", "-q", image).output.endswith(image)
    login = system.on_host("cat", "/root/.docker/config.json").output
    assert json.loads(login) == {"credHelpers": {"754724220380.dkr.ecr.ap-northeast-1.amazonaws.com": "ecr-login"}}
    # Without the role's token the registry refuses
    bare = system.on_host("env", "DOCKER_CONFIG=/nonexistent", "docker", "pull", "-q", image)
    assert bare.code != 0 and "no basic auth credentials" in bare.output


def test_host_may_write_only_its_own_challenge(ask, zone):
    allowed, *refused = ask(
        change(zone, "_acme-challenge.api.hey-watch.me", "TXT", '"x"'),
        change(zone, "_acme-challenge.www.hey-watch.me", "TXT", '"x"'),
        change(zone, "_acme-challenge.api.hey-watch.me", "A", "127.0.0.1"),
        change(zone, "api.hey-watch.me", "A", "127.0.0.1"),
        change("ZOTHER", "_acme-challenge.api.hey-watch.me", "TXT", '"x"'),
    )
    assert allowed == "allowed"
    assert refused == [403] * 4


def metric(namespace: str) -> tuple[str, str, dict]:
    return ("cloudwatch", "put_metric_data", {"Namespace": namespace, "MetricData": [{"MetricName": "X", "Value": 1}]})


def test_host_may_publish_only_its_own_metrics(ask):
    own, others = "infra/lab/watchme", ("infra/lab/services", "infra/lab", "infra/prod/watchme", "infra", "Custom")
    assert ask(*(metric(namespace) for namespace in (own, *others))) == ["allowed", *[403] * len(others)]
    assert (
        ask(("cloudwatch", "describe_alarms", {}), ("cloudwatch", "delete_alarms", {"AlarmNames": ["x"]})) == [403] * 2
    )


def test_other_actions_of_a_host_are_denied(ask):
    other = {"repositoryName": "another-ones"}
    answers = ask(
        ("ecr", "batch_get_image", {**other, "imageIds": [{"imageTag": "latest"}]}),
        ("ecr", "describe_repositories", {}),
        ("ecr", "delete_repository", {"repositoryName": REPOSITORIES[0], "force": True}),
        ("ecr", "create_repository", other),
        ("ecr", "put_image", {"repositoryName": REPOSITORIES[0], "imageManifest": "{}"}),
        ("ec2", "describe_instances", {}),
        ("iam", "list_users", {}),
        ("sts", "assume_role", {"RoleArn": "arn:aws:iam::754724220380:role/other", "RoleSessionName": "host"}),
        ("ec2", "terminate_instances", {"InstanceIds": ["i-1"]}),
        ("ssm", "get_parameter", {"Name": "/aws/service/x"}),
        ("route53", "delete_hosted_zone", {"Id": "Z1"}),
        ("sns", "list_topics", {}),
        ("cloudwatch", "set_alarm_state", {"AlarmName": "x", "StateValue": "OK", "StateReason": "x"}),
    )
    assert answers == [403] * 13


def test_host_has_no_key_on_its_disk(system):
    keys = json.loads(system.lab.path("run", "credentials.json").read_text())
    token = system.on_host("sh", "-c", "curl -s -X PUT http://169.254.169.254/latest/api/token").output
    base = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
    ask = f'curl -s -H "X-aws-ec2-metadata-token: {token}" {base}'
    role = system.on_host("sh", "-c", ask).output
    own = json.loads(system.on_host("sh", "-c", f"{ask}{role}").output)
    secrets = [own["AccessKeyId"], own["SecretAccessKey"], *keys.values()]
    pattern = "\n".join(secrets)
    found = system.on_host(
        "grep", "-rlsF", "-f", "-", "/etc", "/home", "/root", "/var/lib/cloud", "/var/lib/infra", stdin=pattern
    )
    assert found.output == ""
    system.on_host("sh", "-c", "cat > /root/planted", stdin=secrets[0])
    found = system.on_host("grep", "-rlsF", "-f", "-", "/root", stdin=pattern)
    system.on_host("rm", "/root/planted")
    assert found.output == "/root/planted"


def test_metadata_needs_a_token(system):
    code = system.on_host(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://169.254.169.254/latest/meta-data/instance-id"
    ).output
    assert code == "401"
