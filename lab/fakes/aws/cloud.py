"""botocore for one provider: its region, its account, and AWS's refusals as the plugin says them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from lab.fakes.aws import patience
from lab.fakes.plugin import PluginError, Values


@cache
def _session() -> Session:
    """One for all, since each would read the descriptions of AWS's services again."""
    return get_session()


class Cloud:
    def __init__(self, region: str) -> None:
        self.region = region
        self.patience = patience.Patience()
        self._client = cache(self._make)

    def at(self, values: Values) -> "Cloud":
        """The cloud of the region that a function was asked about."""
        return Cloud(values["region"]) if values.get("region", self.region) != self.region else self

    def client(self, service: str) -> Any:
        return self._client(service)

    def _make(self, service: str) -> Any:
        client = _session().create_client(service, region_name=self.region, config=patience.CONFIG)
        self.patience.watch(client)
        return client

    @property
    def account(self) -> str:
        return self.client("sts").get_caller_identity()["Account"]


def connect(config: Values) -> Cloud:
    """A provider's configuration. Raises PluginError for another account, or one that does not answer."""
    unknown = set(config) - {
        "region",
        "allowedAccountIds",
        "version",
        "skipCredentialsValidation",
        "skipRegionValidation",
    }
    if unknown:
        raise PluginError(f"the stand-in does not know the provider settings {sorted(unknown)}")
    cloud = Cloud(config["region"])
    allowed = config.get("allowedAccountIds") or []
    if isinstance(allowed, str):
        allowed = json.loads(allowed)
    with refusals("STS GetCallerIdentity"):
        account = cloud.account
    if allowed and account not in allowed:
        raise PluginError(f"AWS account ID not allowed: {account}")
    return cloud


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """AWS's refusal in one line."""
    try:
        yield
    except ClientError as error:
        message = error.response.get("Error", {}).get("Message", "")
        raise PluginError(f"{what}: {error_code(error)}: {message}") from None
    except (BotoCoreError, ResponseParserError) as error:
        raise PluginError(f"{what}: {error}") from None


def error_code(error: ClientError) -> str:
    """AWS's word for what is wrong; "" where it gave none."""
    return error.response.get("Error", {}).get("Code", "")


def is_gone(error: ClientError) -> bool:
    code = error_code(error)
    return "NotFound" in code or code.startswith(("NoSuch", "InvalidAllocationID", "InvalidAssociationID"))


def ensure_gone(what: str, operation: Any, **arguments: Any) -> None:
    """Deletes what may be gone already."""
    try:
        operation(**arguments)
    except ClientError as error:
        if not is_gone(error):
            with refusals(what):
                raise


def tags_of(entry: Values) -> dict[str, str]:
    """The tags of what AWS described, without its own."""
    return {tag["Key"]: tag["Value"] for tag in entry.get("Tags") or () if not tag["Key"].startswith("aws:")}


def tag_list(tags: dict[str, str] | None) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())]
