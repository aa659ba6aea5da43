"""The emulator answers what was signed with a secret that it gave out, and nothing else."""

from urllib.parse import urlsplit

import boto3
import pytest
from moto import mock_aws
from moto.backends import get_backend

from lab.cloud.signatures import REFUSED, refusal
from lab.settings import ACCOUNT

ENDPOINT = "http://127.71.255.1:5000"
CALLS = {
    "a query": lambda at: at("ec2").describe_instances(Filters=[{"Name": "tag:Name", "Values": ["a b/ü*~"]}]),
    "json": lambda at: at("ecr").describe_repositories(repositoryNames=["watchme/api"]),
    "a path and a query": lambda at: at("route53").list_resource_record_sets(HostedZoneId="Z1", StartRecordName="a.b"),
    "a path with XML": lambda at: at("route53").create_hosted_zone(Name="example.com", CallerReference="a & b"),
    "no region": lambda at: at("sts").get_caller_identity(),
}


class SentError(Exception):
    """Instead of sending."""


def sent(call, key: str, secret: str, token: str | None = None):
    """WSGI's environment and body of what boto3 would send."""
    requests = []

    def keep(request, **_):
        requests.append(request)
        raise SentError

    def at(service: str):
        client = boto3.client(
            service, "ap-northeast-1", endpoint_url=ENDPOINT, aws_access_key_id=key, aws_secret_access_key=secret,
            aws_session_token=token,
        )  # fmt: skip
        client.meta.events.register("before-send", keep)
        return client

    with pytest.raises(SentError):
        call(at)
    (request,) = requests
    url = urlsplit(request.url)
    environ = {
        "REQUEST_METHOD": request.method,
        "RAW_URI": url.path + (f"?{url.query}" if url.query else ""),
        "HTTP_HOST": url.netloc,
    }
    for name, value in request.headers.items():
        bare = name.upper().replace("-", "_")
        text = value.decode() if isinstance(value, bytes) else value
        environ[bare if bare in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{bare}"] = text
    body = request.body or b""
    return environ, body.encode() if isinstance(body, str) else body


@pytest.fixture
def key():
    with mock_aws():
        iam = get_backend("iam")[ACCOUNT]["aws"]
        iam.create_user(region_name="us-east-1", user_name="another")
        made = iam.create_access_key("another")
        yield made.access_key_id, made.secret_access_key


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_signed_request_is_accepted_and_a_guessed_secret_refused(key, call):
    id, secret = key
    assert refusal(*sent(call, id, secret)) == ""
    assert refusal(*sent(call, id, "x" * 40)) == REFUSED


CHANGES = {
    "another body": lambda environ, body: (environ, body + b"&x=1"),
    "another path": lambda environ, body: (environ | {"RAW_URI": "/2013-04-01/hostedzone/Z2"}, body),
    "another query": lambda environ, body: (environ | {"RAW_URI": environ["RAW_URI"] + "&x=1"}, body),
    "another method": lambda environ, body: (environ | {"REQUEST_METHOD": "DELETE"}, body),
    "another host": lambda environ, body: (environ | {"HTTP_HOST": "127.0.0.1:1"}, body),
    "another time": lambda environ, body: (environ | {"HTTP_X_AMZ_DATE": "20200101T000000Z"}, body),
    "a host that is not signed": lambda environ, body: (
        environ
        | {"HTTP_AUTHORIZATION": environ["HTTP_AUTHORIZATION"].replace("SignedHeaders=host;", "SignedHeaders=")},
        body,
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_request_is_refused(key, change):
    assert refusal(*change(*sent(CALLS["a path and a query"], *key))) == REFUSED


@pytest.mark.parametrize("header", ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/x/ec2/aws4_request"])
def test_unsigned_request_is_refused(key, header):
    environ, body = sent(CALLS["json"], *key)
    assert refusal(environ | {"HTTP_AUTHORIZATION": header}, body) == "MissingAuthenticationToken"


def test_key_of_a_role_needs_its_token(key):
    sts = get_backend("sts")[ACCOUNT]["aws"]
    made = sts.assume_role("us-east-1", "session", f"arn:aws:iam::{ACCOUNT}:role/r", None, 3600, None)
    given = made.access_key_id, made.secret_access_key
    assert refusal(*sent(CALLS["json"], *given, made.session_token)) == ""
    assert refusal(*sent(CALLS["json"], given[0], "x" * 40, made.session_token)) == REFUSED


def test_unknown_key_is_refused(key):
    assert refusal(*sent(CALLS["json"], "AKIAIOSFODNN7EXAMPLE", "x" * 40)) == "InvalidClientTokenId"
    assert refusal(*sent(CALLS["json"], *key, "a token")) == "InvalidClientTokenId"
