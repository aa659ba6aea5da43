"""What the workflow of a product's repository may do by its role, with the emulator's enforcement on."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab import workspace
from tests.system.conftest import System

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
REGION = "ap-northeast-1"


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::754724220380:root"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture(scope="module")
def role(system: System):
    """Credentials with the rights of the role that the stack made. The emulator knows no tokens of GitHub's, so that a
    role with the same rights is taken that the account may take."""
    before = system.lab.config_file.read_text()
    system.set('infra:pushers["acme/shop"].services[0]', "ast-api")
    system.must_up()
    made = json.loads(system.pulumi("stack", "output", "pushers", "--json").output)["acme/shop"].rpartition("/")[2]
    env = workspace.environment(system.lab)
    keys = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
    iam, sts = (
        boto3.client(name, region_name=REGION, endpoint_url=env["AWS_ENDPOINT_URL"], **keys) for name in ("iam", "sts")
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=iam.get_role(RoleName=made)["Role"]["Arn"], RoleSessionName="person")
    (policy,) = iam.list_role_policies(RoleName=made)["PolicyNames"]
    document = json.dumps(iam.get_role_policy(RoleName=made, PolicyName=policy)["PolicyDocument"])
    arn = iam.create_role(RoleName="as-a-workflow", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="as-a-workflow", PolicyName="same", PolicyDocument=document)
    yield sts.assume_role(RoleArn=arn, RoleSessionName="workflow")["Credentials"], env["AWS_ENDPOINT_URL"]
    iam.delete_role_policy(RoleName="as-a-workflow", PolicyName="same")
    iam.delete_role(RoleName="as-a-workflow")
    system.lab.config_file.write_text(before)
    system.must_up()


@pytest.fixture(scope="module")
def asked(role):
    given, endpoint = role

    def ask(service: str, operation: str, **arguments) -> str:
        client = boto3.client(
            service, region_name=REGION, endpoint_url=endpoint, config=Config(retries={"max_attempts": 0}),
            aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"], aws_session_token=given["SessionToken"],
        )  # fmt: skip
        try:
            getattr(client, operation)(**arguments)
        except ClientError as error:
            return str(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return "allowed"

    return ask


def test_pusher_may_push_its_own_image(asked):
    assert asked("ecr", "get_authorization_token") == "allowed"
    images = [{"imageTag": "latest"}]
    assert asked("ecr", "batch_get_image", repositoryName="watchme-api-ast", imageIds=images) == "allowed"


DENIED = {
    "another's image": (
        "ecr",
        "batch_get_image",
        {"repositoryName": "watchme-web", "imageIds": [{"imageTag": "latest"}]},
    ),
    "another's push": ("ecr", "put_image", {"repositoryName": "watchme-web", "imageManifest": "{}"}),
    "deleting its own": (
        "ecr",
        "batch_delete_image",
        {"repositoryName": "watchme-api-ast", "imageIds": [{"imageTag": "latest"}]},
    ),
    "secrets": ("ssm", "get_parameter", {"Name": "/prod/x", "WithDecryption": True}),
    "a secret of the manager's": ("secretsmanager", "get_secret_value", {"SecretId": "x"}),
    "machines": ("ec2", "describe_instances", {}),
    "records": ("route53", "list_hosted_zones", {}),
    "other roles": (
        "sts",
        "assume_role",
        {"RoleArn": "arn:aws:iam::754724220380:role/x", "RoleSessionName": "workflow"},
    ),
    "buckets": ("s3", "list_buckets", {}),
}


@pytest.mark.parametrize(("service", "operation", "arguments"), DENIED.values(), ids=DENIED)
def test_other_actions_of_a_pusher_are_denied(asked, service, operation, arguments):
    assert asked(service, operation, **arguments) == "403"
