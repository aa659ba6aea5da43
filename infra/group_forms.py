"""What a host of a group answers about its Docker Swarm, as agent/swarm.py says it."""

from typing import Annotated

from pydantic import Field

from infra.forms import Form, Names, Text


class Node(Form):
    """A host as the Swarm knows it. `host` is its name in the stack, "" where none was written. Of those with the role
    of a manager one `votes` unless the Swarm goes on without it."""

    id: Text
    host: str = ""
    role: Text
    availability: Text
    state: Text
    votes: bool = False
    reachable: bool = False
    leads: bool = False


class SwarmFacts(Form):
    """What a host knows of the Swarm that it is in; `nodes` only where it `manages` it."""

    state: Text
    node: str = ""
    address: str = ""
    manages: bool = False
    error: str = ""
    cluster: str = ""
    nodes: Annotated[list[Node], Field(max_length=1000)] = []


class ClearedSwarm(Form):
    """Services in the Swarm that are not the group's."""

    others: Names


class SpreadAnswer(Form):
    """Services of which all copies still run on one host."""

    crowded: Names


class Token(Form):
    """What a host joins with."""

    token: Text


class Swarming(Form):
    """What is said on the way; `{}` is a sign of life."""

    say: str = ""
    refused: str = ""
    done: dict[str, object] | None = None
