"""What a host's agent may answer about backups. See answers.py."""

from typing import Annotated

from pydantic import Field

from infra.forms import MOST, Form, Names, Seconds, Text, Whole


class Backup(Form):
    id: Text
    at: Text


class GoodBackup(Form):
    at: Seconds
    bytes: Annotated[Whole, Field(ge=0)]


class BadBackup(Form):
    at: Seconds
    why: Text


class Drill(Form):
    at: Seconds
    why: Text = ""


class ServiceBackups(Form):
    """A service's backups, with its last good one, its last failure and its last drill."""

    service: Text
    backups: Annotated[list[Backup], Field(max_length=MOST)]
    good: GoodBackup | None = None
    failed: BadBackup | None = None
    drill: Drill | None = None


class Backups(Form):
    services: Annotated[list[ServiceBackups], Field(max_length=MOST)]


class MadeBackup(Form):
    service: Text
    snapshot: Text
    bytes: Annotated[Whole, Field(ge=0)]
    seconds: Seconds
    warning: Text = ""


class VerifiedBackups(Form):
    line: Text


class RestoredBackup(Form):
    service: Text
    snapshot: Text
    at: Text
    into: Text = ""
    aside: Names = []
    started: Names = []


class DrillResult(Form):
    """A backup that was restored beside the service to prove that it can be: whether the service started with it."""

    service: Text
    snapshot: Text
    of: Text
    bytes: Annotated[Whole, Field(ge=0)]
    started: bool
    seconds: Seconds
