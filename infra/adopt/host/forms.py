"""The form of what a host says of itself when it is read off: nothing is made of an answer that does not have it."""

from typing import Annotated, Any, cast

from pydantic import Field

from catalogue.shapes import JsonObject
from infra.adopt.host.documents import Entries, Facts
from infra.forms import MOST, Form, Names, Text, Whole, check_form

# A file's text: on_host.py reads none that is larger
Content = Annotated[str, Field(max_length=16 * 1024**2)]
# As systemd has it: its kind is its ending
UnitName = Annotated[str, Field(max_length=256, pattern=r"^[^/\s]+\.[a-z]+$")]
Contents = Annotated[dict[str, Content], Field(max_length=MOST)]


class Account(Form):
    name: Text
    uid: Whole
    home: Text
    group: Text
    login: bool
    lingering: bool
    groups: Names


class Unit(Form):
    path: Text
    name: UnitName
    account: Text
    text: Content
    enabled: bool
    active: bool
    drop_ins: Contents
    instances: Names
    ports: Annotated[list[Whole], Field(max_length=MOST)]
    compose: Names


class Container(Form):
    name: Text
    image: Text
    digests: Names
    running: bool
    memory: Whole
    limit: Whole
    networks: dict[str, Text]
    ports: Annotated[list[Annotated[list[Text | Whole], Field(min_length=3, max_length=4)]], Field(max_length=MOST)]
    health: Names
    key: Text
    files: Names
    volumes: dict[str, Text] = {}


class Network(Form):
    name: Text
    subnet: Text | None
    gateway: Text | None


class Rival(Form):
    path: Text
    line: Whole
    why: Text
    text: Text


class FactsForm(Form):
    hostname: Text
    memory: Annotated[Whole, Field(ge=0)]
    adopted: bool
    accounts: Annotated[list[Account], Field(max_length=MOST)]
    units: Annotated[list[Unit], Field(max_length=MOST)]
    containers: Annotated[list[Container] | None, Field(max_length=MOST)]
    networks: Annotated[list[Network] | None, Field(max_length=MOST)]
    compose: Contents
    nginx: Contents
    caddy: JsonObject | bool | None
    certificates: Annotated[dict[str, Text], Field(max_length=MOST)]
    journald: Contents
    unread: Annotated[dict[str, Text], Field(max_length=MOST)] = {}
    crontabs: Contents = {}
    rivals: Annotated[list[Rival], Field(max_length=MOST)] = []
    search_ended: Text = ""


class Entry(Form):
    kind: Text
    owner: Text = ""
    group: Text = ""
    mode: Annotated[str, Field(pattern=r"^[0-7]{0,5}$")] = ""
    target: Text = ""
    text: Content | None = None
    names: Names | None = None
    values: Annotated[dict[str, Text], Field(max_length=MOST)] = {}
    faults: Annotated[dict[str, Text], Field(max_length=MOST)] = {}


class EntriesForm(Form):
    entries: Annotated[dict[str, Entry], Field(max_length=MOST)]


def checked_facts(facts: Any, host: str) -> Facts:
    """The facts themselves. Raises InfraError, naming the host and the field."""
    # The form and the type have the same fields, which a test compares
    return cast(Facts, check_form(FactsForm, facts, "what it says of itself", host))


def checked_entries(entries: Any, host: str) -> Entries:
    """The entries themselves. Raises InfraError, naming the host and the field."""
    return check_form(EntriesForm, {"entries": entries}, "what it says of its files", host)["entries"]
