"""Changes of a catalogue that a test describes in one line: each returns what `tests.support.catalogue` applies."""

from typing import Any

from tests.support import service


def setting(which: str, **values: Any):
    return lambda data: service(data, which).update(values)


def routed(which: str, **values: Any):
    return lambda data: service(data, which)["routes"][0].update(values)


def configured(**values: Any):
    return lambda config: config.update({f"infra:{key}": value for key, value in values.items()})


def hosted(**values: Any):
    return lambda config: config["infra:hosts"]["watchme"].update(values)


def networked(subnet: str):
    """The containers' network in another subnet; their addresses stay what they are."""
    return lambda data: data["network"].update(subnet=subnet)


def both(*changes):
    def change(data):
        for one in changes:
            one(data)

    return change
