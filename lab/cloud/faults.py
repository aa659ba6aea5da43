"""Faults of AWS that a test asks for: requests that are refused, or carried out and never answered."""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.writing import open_for_append

SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/")


@dataclass(frozen=True)
class ApiRequest:
    """What a request is about: `action` such as CreateVpc, of `service` in `region`."""

    service: str
    region: str
    action: str
    body: str


def parse_request(environ: dict[str, Any], body: bytes) -> ApiRequest:
    scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    region, service = scope.groups() if scope else ("", "")
    text = body.decode(errors="replace")
    target = environ.get("HTTP_X_AMZ_TARGET", "").rsplit(".", 1)[-1]
    query = re.search(r"(?:^|&)Action=(\w+)", text)
    action = target or (query[1] if query else f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
    return ApiRequest(service, region, action, text)


HOLD = "done, and never answered"
LIMIT = 120  # seconds that an answer is held back at most


def fault(file: Path, request: ApiRequest) -> str | None:
    """The reason that the file gives for refusing this request, or HOLD: a list of {action, region, body, reason}, each
    but the reason a pattern."""
    try:
        entries = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    for entry in entries:
        if all(re.search(entry.get(key, ""), getattr(request, key)) for key in ("action", "region", "body")):
            return entry["reason"]
    return None


def hold(file: Path) -> None:
    """Returns once the file of faults is gone: by then the test has killed the client."""
    end = time.monotonic() + LIMIT
    while file.exists() and time.monotonic() < end:
        time.sleep(0.05)


def remember(file: Path, request: ApiRequest) -> None:
    """Notes a refused or held request for the test: one line each, in a file beside the file of faults."""
    with open_for_append(file.with_suffix(".log")) as log:
        log.write(f"{request.region} {request.action}\n".encode())


def answer(request: ApiRequest, reason: str, status: str = "400 Bad Request") -> tuple[str, str, bytes]:
    """Status, content type and body, as the service would say it."""
    if request.service in ("ecr", "ssm", "monitoring", "budgets", "servicequotas", "pricing", "dlm"):
        return (
            status,
            "application/x-amz-json-1.1",
            json.dumps({"__type": reason, "message": reason}).encode(),
        )
    error = f"<Error><Type>Sender</Type><Code>{reason}</Code><Message>{reason}</Message></Error>"
    if request.service == "ec2":
        text = f"<Response><Errors><Error><Code>{reason}</Code><Message>{reason}</Message></Error></Errors></Response>"
    else:
        text = f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>"
    return status, "text/xml", text.encode()
