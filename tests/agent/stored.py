"""What a host in memory knows of its own release."""

from agent import store, transaction
from tests.agent.fake import FakeWorld


def current(world):
    found = store.current(world)
    assert found
    return found


def all_of(world: FakeWorld, before: tuple, after: tuple, base: str | None, target: str) -> None:
    """The host is wholly at one of the two releases, and knows which."""
    assert transaction.load_unfinished(world) is None
    expected = {base: before, target: after}
    assert world.seen_by_programs() == expected[store.current_id(world)]
