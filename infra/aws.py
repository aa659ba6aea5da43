"""AWS asked by an operator's own credentials."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import InfraError

EVERYWHERE = "us-east-1"


@cache
def client(service: str, region: str) -> Any:
    """Of a region; "" where a service belongs to none."""
    return boto3.client(service, region_name=region or EVERYWHERE)


@contextmanager
def asking(what: str, region: str) -> Iterator[None]:
    """Raises InfraError, in one line, where AWS does not answer what is asked in the body."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise InfraError(f"AWS cannot be asked for {what} in {region or EVERYWHERE}: {error}") from None
