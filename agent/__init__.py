"""The host agent: applies a release on a host. Python standard library only; it travels in every archive."""

from pathlib import Path


def receive_source() -> str:
    """The text that starts the agent on a host which has none."""
    return Path(__file__).with_name("receive.py").read_text()


def source(name: str) -> str:
    """The text of one of the programs that go to a host by themselves."""
    return Path(__file__).with_name(f"{name}.py").read_text()


def program(name: str) -> str:
    """One of them as it is run: by its `main(payload)`."""
    return f"{source(name)}\n\nmain(payload)\n"
