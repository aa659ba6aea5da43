"""What goes wrong outside the catalogue."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager


class InfraError(Exception):
    """One line for a person: what, where, why, what now."""


@contextmanager
def gather_errors() -> Generator[Callable[[], AbstractContextManager[None]]]:
    """For several hosts, one after the other: an InfraError under the context that this hands out keeps none of the
    others from being asked. Raises InfraError with all of them at the end."""
    errors: list[str] = []

    @contextmanager
    def alone() -> Generator[None]:
        try:
            yield
        except InfraError as error:
            errors.append(str(error))

    with alone():
        yield alone
    if errors:
        raise InfraError("; ".join(errors))
