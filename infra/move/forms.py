"""What the two hosts of a move may answer of data: agent/moving.py and agent/arriving.py."""

from typing import Annotated

from pydantic import Field

from catalogue.shapes import JsonObject
from infra.forms import MOST, Form, Names, Text, Whole


class AwayData(Form):
    id: Text
    to: Text
    region: Text
    at: Text = "?"
    units: Names = []


class ArrivingData(Form):
    id: Text
    system: Text
    region: Text


class TakenData(Form):
    id: Text
    undone: bool = False


class DescribedData(Form):
    bytes: Annotated[dict[str, Annotated[Whole, Field(ge=0)]], Field(max_length=MOST)]
    rsync: Text
    held: Text
    away: AwayData | None
    records: Annotated[dict[str, AwayData | None], Field(max_length=MOST)] = {}
    arriving: ArrivingData | None
    taken: TakenData | None
    users: Annotated[dict[str, Whole], Field(max_length=MOST)]
    groups: Annotated[dict[str, Whole], Field(max_length=MOST)]
    steps: Names


class HeldData(Form):
    held: bool


class GivenData(Form):
    gone: bool


class Moving(Form):
    """Of a host whose data moves; `{}` is a sign of life."""

    failed: Text = ""
    done: JsonObject = {}


class PreparedData(Form):
    places: Annotated[dict[str, Text], Field(max_length=MOST)]


class ReadyData(Form):
    ready: bool


class StartedData(Form):
    started: bool
    off: bool = False
    why: Text = ""
    aside: Names = []


class UndoneData(Form):
    undone: bool


# What agent/moving.py does: its answers
MOVING: dict[str, type[Form]] = {"describe": DescribedData, "renew": HeldData, "commit": GivenData}
