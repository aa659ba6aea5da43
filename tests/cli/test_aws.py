"""AWS on a bad day, as an operator's commands meet it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError

from infra import aws
from infra.errors import InfraError

ADDRESSES = b"<DescribeAddressesResponse xmlns='http://ec2.amazonaws.com/doc/2016-11-15/'><addressesSet/></DescribeAddressesResponse>"


@pytest.fixture
def api(monkeypatch):
    """An EC2 that gives these answers, one after the other, and then the good one."""
    answers: list[tuple[int, str]] = []
    asked: list[int] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(1)
            status, code = answers.pop(0) if answers else (200, "")
            error = f"<Response><Errors><Error><Code>{code}</Code><Message>x</Message></Error></Errors></Response>"
            body = error.encode() if code else ADDRESSES
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    yield answers, asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "code", ["RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"]
)
def test_throttled_request_is_retried_and_reported_once(api, capsys, code):
    answers, asked = api
    answers.extend([(503 if code == "RequestLimitExceeded" else 400, code)] * 4)
    assert aws.client("ec2", "ap-northeast-1").describe_addresses()["Addresses"] == []
    assert len(asked) == 5
    assert capsys.readouterr().err == f"AWS throttles DescribeAddresses in ap-northeast-1 ({code}): trying again\n"


def test_lasting_throttling_is_reported_in_one_line(api):
    answers, asked = api
    answers.extend([(503, "RequestLimitExceeded")] * 20)
    said = r"AWS cannot be asked for addresses in ap-northeast-1: .*RequestLimitExceeded"
    with pytest.raises(InfraError, match=said), aws.asking("addresses", "ap-northeast-1"):
        aws.client("ec2", "ap-northeast-1").describe_addresses()
    assert len(asked) == aws.ATTEMPTS


def test_a_refusal_is_not_tried_again(api):
    answers, asked = api
    answers.append((403, "UnauthorizedOperation"))
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        aws.client("ec2", "ap-northeast-1").describe_addresses()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("code", "is_absence", "is_denial"),
    [
        ("ParameterNotFound", True, False),
        ("NoSuchEntity", True, False),
        ("InvalidInstanceID.NotFound", True, False),
        ("AccessDeniedException", False, True),
        ("UnauthorizedOperation", False, True),
        ("RequestLimitExceeded", False, False),
        ("ExpiredToken", False, False),
        ("InternalError", False, False),
    ],
)
def test_only_not_found_errors_count_as_absent(code, is_absence, is_denial):
    error = ClientError({"Error": {"Code": code, "Message": ""}}, "X")
    assert (aws.is_absence(error), aws.is_denial(error)) == (is_absence, is_denial)
