"""The place where Pulumi keeps its state, a directory or a bucket: its locks, and what this program keeps beside
them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from catalogue.files import read_bytes
from catalogue.problems import CatalogueError
from infra import aws
from infra.errors import InfraError
from infra.foreign import one_line
from infra.pulumi import pulumi
from infra.writing import put_below, remove_below

ROOT = ".pulumi"
MOST = 100


@dataclass(frozen=True)
class StateFolder:
    """`path` has Pulumi's own directory in it."""

    path: Path

    def texts(self, place: str) -> Iterator[tuple[str, str]]:
        """Name (without its ending) and text of each JSON file in a directory. Raises InfraError."""
        for path in sorted((self.path / ROOT / place).glob("*.json"))[:MOST]:
            try:
                yield path.stem, read_bytes(path, str(path)).decode(errors="replace")
            except CatalogueError as error:
                raise InfraError(f"a lock of the stack cannot be read, and may be held: {error}") from None

    def put(self, place: str, text: str) -> None:
        """Raises InfraError."""
        put_below(self.path, f"{ROOT}/{place}", text)

    def remove(self, place: str) -> None:
        """Raises InfraError."""
        remove_below(self.path, f"{ROOT}/{place}")


@dataclass(frozen=True)
class StateBucket:
    """`prefix` is where in the bucket Pulumi's own directory is; "" at its top."""

    name: str
    prefix: str

    def texts(self, place: str) -> Iterator[tuple[str, str]]:
        """Name (without its ending) and text of each object below a place. Raises InfraError."""
        prefix = self._key(place)
        try:
            client = _client()
            entries = client.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=MOST).get("Contents", [])
            for entry in entries:
                body = client.get_object(Bucket=self.name, Key=entry["Key"])["Body"]
                yield PurePosixPath(entry["Key"]).stem, body.read().decode(errors="replace")
        except (ClientError, BotoCoreError) as error:
            raise InfraError(f"the locks in s3://{self.name}/{prefix} cannot be read: {one_line(str(error))}") from None

    def put(self, place: str, text: str) -> None:
        """Raises InfraError."""
        key = self._key(place)
        try:
            _client().put_object(Bucket=self.name, Key=key, Body=text.encode(), ContentType="application/json")
        except (ClientError, BotoCoreError) as error:
            raise InfraError(f"s3://{self.name}/{key} cannot be written: {one_line(str(error))}") from None

    def remove(self, place: str) -> None:
        """Raises InfraError."""
        key = self._key(place)
        try:
            _client().delete_object(Bucket=self.name, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise InfraError(f"s3://{self.name}/{key} cannot be removed: {one_line(str(error))}") from None

    def _key(self, place: str) -> str:
        return "/".join(filter(None, (self.prefix, ROOT, place)))


def _client() -> Any:
    return aws.client("s3", "")


State = StateFolder | StateBucket


def state_of(stack: str) -> State:
    """Raises InfraError where the state is kept in a place that this cannot look into."""
    url: str = json.loads(pulumi("whoami", "--verbose", "--json")).get("url", "")
    parts = urlsplit(url)
    if parts.scheme == "file":
        return StateFolder(_folder(parts))
    if parts.scheme == "s3":
        return StateBucket(parts.netloc, parts.path.strip("/"))
    raise InfraError(
        f"the state is kept at {one_line(url)}, where infra cannot read locks: run pulumi cancel --stack {stack} "
        "once no update is running"
    )


def _folder(parts: SplitResult) -> Path:
    return Path(unquote(parts.netloc + parts.path)).expanduser()
