"""Secrets that the stack's file does not hold: where each comes from when the program runs."""

import re
from typing import Annotated, Any, TypedDict

from pydantic import BeforeValidator, Field, model_serializer

from catalogue.fields import Model
from catalogue.shapes import is_mapping

# Names as AWS allows them (Systems Manager and Secrets Manager user guides), and a key of a JSON value after #
_SSM = re.compile(r"ssm:(?P<name>/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*)")
_MANAGER = re.compile(
    r"secretsmanager:(?P<name>arn:aws:secretsmanager:[A-Za-z0-9:/_+=.@-]+|[A-Za-z0-9/_+=.@!-]+)(#(?P<key>[A-Za-z0-9_.-]+))?"
)
FORMS = "ssm:/prod/shop/token, secretsmanager:prod/shop#token, or {command: [op, read, op://prod/shop/token]}"


# `ssm:…` or `secretsmanager:…`, or `command` and its words
WrittenSource = str | dict[str, list[str]]


class Source(Model):
    """Where a secret comes from when the program runs: a parameter of AWS Systems
    Manager, a secret of AWS Secrets Manager, or a command that prints the value."""

    ssm: str = ""
    """The name of a parameter of AWS Systems Manager; written as `ssm:/prod/shop/token`."""
    secretsmanager: str = ""
    """The name or ARN of a secret of AWS Secrets Manager; written as `secretsmanager:prod/shop`."""
    key: str = ""
    """Of a secret that is a JSON object, the key whose value is meant; written as `secretsmanager:prod/shop#token`."""
    command: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=50)] = []
    """A command, word by word, that prints the value; written as `{command: [op, read, …]}`."""

    @model_serializer
    def as_written(self) -> WrittenSource:
        """As it stands in a stack's file, so that what was loaded can be loaded again."""
        return {"command": self.command} if self.command else str(self)

    def __str__(self) -> str:
        if self.command:
            return f"command {self.command[0]}"
        return (
            f"ssm:{self.ssm}"
            if self.ssm
            else f"secretsmanager:{self.secretsmanager}{'#' if self.key else ''}{self.key}"
        )


def _source(value: Any) -> Any:
    if isinstance(value, Source):
        return value
    if is_mapping(value) and set(value) == {"command"} and value["command"]:
        return value
    if isinstance(value, str) and (match := _SSM.fullmatch(value)):
        return {"ssm": match["name"]}
    if isinstance(value, str) and (match := _MANAGER.fullmatch(value)):
        return {"secretsmanager": match["name"], "key": match["key"] or ""}
    raise ValueError(FORMS)


AnySource = Annotated[Source, BeforeValidator(_source)]


class SourcesRequest(TypedDict):
    """To `infra.sources`: `sources` are group → name → where its value comes from, `given` group → names of those that
    have one already."""

    region: str
    sources: dict[str, dict[str, WrittenSource]]
    given: dict[str, list[str]]


class SourcesAnswer(TypedDict, total=False):
    """The `values` by group and name, or what is `wrong`."""

    values: dict[str, dict[str, str]]
    wrong: str
