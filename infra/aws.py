"""AWS asked by an operator's own credentials: patient where AWS asks for patience, and never silently."""

import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel

from infra.errors import InfraError

EVERYWHERE = "us-east-1"
# With botocore's pauses of up to 20 seconds, about a minute
ATTEMPTS = 8
THROTTLED = re.compile(r"Throttl|RequestLimitExceeded|TooManyRequests|SlowDown|PriorRequestNotComplete")


def client(service: str, region: str, attempts: int = ATTEMPTS, session: boto3.Session | None = None) -> Any:
    """Of a region; "" where a service belongs to none. What AWS throttles, and what does not answer, is tried again
    with growing pauses; the first time of each request is said on standard error."""
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": attempts})
    place = region or EVERYWHERE
    api_client: Any = (session or boto3.Session()).client(service, region_name=place, config=config)  # type: ignore[call-overload]
    api_client.meta.events.register("needs-retry", _ThrottleNotice(place, attempts))
    return api_client


class Filter(TypedDict):
    """Of EC2's lists: those that have one of the values."""

    Name: str
    Values: list[str]


class _Fault(TypedDict, total=False):
    Code: str


class _Parsed(TypedDict, total=False):
    """What botocore reads off an answer, as far as it is looked at here."""

    Error: _Fault


class _ThrottleNotice:
    def __init__(self, region: str, attempts: int) -> None:
        self.region, self.attempts = region, attempts

    def __call__(
        self, response: tuple[object, _Parsed] | None, attempts: int, operation: OperationModel, **_: object
    ) -> None:
        """Called by botocore after each attempt."""
        code = response[1].get("Error", {}).get("Code", "") if response else ""
        if attempts == 1 < self.attempts and THROTTLED.search(code):
            message = f"AWS throttles {operation.name} in {self.region} ({code}): trying again"
            print(message, file=sys.stderr, flush=True)


def error_code(error: ClientError) -> str:
    """AWS's word for what is wrong, such as `AccessDenied`; "" where it gave none."""
    return error.response.get("Error", {}).get("Code", "")


def is_absence(error: ClientError) -> bool:
    """Does AWS say that something is not there, and not that it does not say."""
    code = error_code(error)
    return "NotFound" in code or code.startswith("NoSuch") or code.endswith("DoesNotExist")


def is_denial(error: ClientError) -> bool:
    """Does AWS know who asks, and refuse what is asked."""
    code = error_code(error)
    return "AccessDenied" in code or "Unauthorized" in code or code == "NotAuthorized"


@contextmanager
def asking(what: str, region: str) -> Generator[None]:
    """Raises InfraError, in one line, where AWS does not answer what is asked in the body."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise InfraError(f"AWS cannot be asked for {what} in {region or EVERYWHERE}: {error}") from None


def record_name(name: str) -> str:
    """A record's name, as Route 53 or a configuration writes it, in the one form in which two can be compared."""
    return name.rstrip(".").lower().replace("\\052", "*")
