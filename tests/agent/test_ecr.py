"""ECR's login without its helper."""

import base64
import json
import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from agent import aws, ecr
from agent.aws import Identity
from agent.credentials import CREDENTIALS, STAGED
from agent.outcome import Refused
from rendering.archive import build
from rendering.host import render
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, world_for
from tests.support import catalogue, digests

REGISTRY = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com"
HOST = "api.ecr.ap-northeast-1.amazonaws.com"
KEY_FILE = b"[default]\naws_access_key_id=AKIA1\naws_secret_access_key=s/e+c%ret\n"


@pytest.mark.parametrize("token", ["", "session"])
def test_signature_equals_that_of_botocore(token, monkeypatch):
    import datetime

    now = time.gmtime(1.8e9)
    headers = aws.signed_headers(Identity("AKIA1", "secret", token), ecr.request("ap-northeast-1"), now)
    plain = {"content-type": "application/x-amz-json-1.1", "x-amz-target": ecr.TARGET}
    request = AWSRequest("POST", f"https://{HOST}/", headers=plain, data="{}")
    moment = datetime.datetime(*now[:6], tzinfo=datetime.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
    SigV4Auth(Credentials("AKIA1", "secret", token or None), "ecr", "ap-northeast-1").add_auth(request)
    assert headers["Authorization"] == request.headers["Authorization"]


def test_a_users_key_gets_a_login_for_docker(monkeypatch):
    world = FakeWorld(files={CREDENTIALS: (KEY_FILE, 0o600, "root", "root")})
    asked = []

    def fetch(url, headers, method="GET", body=None, timeout=20):
        asked.append((url, method, headers))
        return 200, json.dumps({"authorizationData": [{"authorizationToken": "QVdTOnRva2Vu"}]}).encode()

    world.fetch = fetch
    ecr.log_in(world, [REGISTRY])
    content, mode, *_ = world.files[ecr.CONFIG]
    assert json.loads(content) == {"auths": {REGISTRY: {"auth": base64.b64encode(b"AWS:token").decode()}}}
    assert mode == 0o600 and asked[0][:2] == (f"https://{HOST}/", "POST")
    assert "Credential=AKIA1/" in asked[0][2]["Authorization"]


def test_missing_identity_is_reported():
    with pytest.raises(Refused, match=r"no AWS credentials: neither /root/\.aws/credentials nor an instance role"):
        ecr.log_in(FakeWorld(), [REGISTRY])


def test_a_machine_without_a_role_fetches_with_the_key_that_the_release_brings():
    """Also the first time, when nothing of it is in place yet; and a revoked key is replaced the same way."""

    def desktop(config):
        config["infra:hosts"] = {
            "watchme": {
                "kind": "ssh", "address": "192.168.1.20", "hostKey": "ssh-ed25519 AAAA", "memory": "16g",
                "systems": ["watchme"],
            }
        }  # fmt: skip

    keys = {"@aws": {"aws_access_key_id": "AKIA1", "aws_secret_access_key": "s/e+cret"}}
    made = build(render(catalogue(config=desktop), "watchme", digests(), keys))
    world = world_for(made)
    seen, run = {}, world.run

    def watched(*argv, **options):
        path = (options.get("environment") or {}).get("AWS_SHARED_CREDENTIALS_FILE")
        if path:
            seen[argv[0]] = world.files[path]
        return run(*argv, **options)

    world.run = watched
    assert applied(world, made, keys).outcome == "applied"
    text = b"[default]\naws_access_key_id=AKIA1\naws_secret_access_key=s/e+cret\n"
    assert set(seen) == {"docker", "docker-credential-ecr-login", "certbot"}
    assert set(seen.values()) == {(text, 0o600, "root", "root")} == {world.files[CREDENTIALS]}
    assert STAGED not in world.files


PASSES = {
    "throttled": (400, b'{"__type": "ThrottlingException"}'),
    "too many": (429, b""),
    "no answer": (0, b""),
    "an error of AWS's": (503, b"busy"),
    "a role whose rights are not known yet": (400, b'{"__type": "AccessDeniedException"}'),
    "a key that is not known yet": (400, b'{"__type": "UnrecognizedClientException"}'),
}


@pytest.mark.parametrize("answer", PASSES.values(), ids=PASSES)
def test_transient_ecr_failures_are_retried_with_growing_pauses(answer):
    world = FakeWorld(files={CREDENTIALS: (KEY_FILE, 0o600, "root", "root")})
    asked, begun = [], world.clock

    def fetch(url, headers, method="GET", body=None, timeout=20):
        asked.append(world.clock - begun)
        good = 200, json.dumps({"authorizationData": [{"authorizationToken": "QVdTOnRva2Vu"}]}).encode()
        return good if len(asked) == 4 else answer

    world.fetch = fetch
    ecr.log_in(world, [REGISTRY])
    assert asked == [0, 1, 3, 7]


@pytest.mark.parametrize(
    ("answer", "attempts"),
    [((400, b'{"__type": "ThrottlingException"}'), 5), ((400, b'{"__type": "InvalidParameterException"}'), 1)],
    ids=["for good", "another refusal"],
)
def test_lasting_ecr_failure_is_reported(answer, attempts):
    world = FakeWorld(files={CREDENTIALS: (KEY_FILE, 0o600, "root", "root")})
    asked = []
    world.fetch = lambda *words, **_: asked.append(words) or answer
    with pytest.raises(Refused, match=rf"AWS refuses this host a login for {REGISTRY}: 400 from {HOST}"):
        ecr.log_in(world, [REGISTRY])
    assert len(asked) == attempts
