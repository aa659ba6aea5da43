"""Which proxies a host can have, and what a catalogue may ask of each.

A proxy is there once `rendering/proxies/` has a module of its name. That name is also its program's, its unit's, and
that of its directory below /etc, which are no product's. A module of the same name here describes as `PROXY` what it
can do beyond serving sites; one without such a module can do none of it, and has no snippets.
"""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

from catalogue.proxy import Abilities, Proxy

USUAL = "nginx"
MODULES = Path(__file__).parent.parent.parent / "rendering" / "proxies"
# The usual one is first
NAMES = (USUAL, *sorted({path.stem for path in MODULES.glob("[a-z]*.py")} - {USUAL}))


def description(name: str) -> Proxy:
    """What a catalogue may ask of a proxy. It is read when it is first needed, since commands know the names alone."""
    module = f"{__name__}.{name}"
    try:
        return importlib.import_module(module).PROXY
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return Proxy()


def abilities(name: str) -> Abilities:
    return description(name).abilities


def remedy(can: Callable[[Abilities], bool]) -> str:
    """`proxy: NAME` as a message says it, of all proxies that can do something."""
    return f"proxy: {' or '.join(name for name in NAMES if can(abilities(name)))}"


def with_snippets() -> list[str]:
    """The proxies that a site's snippet can be for."""
    return [name for name in NAMES if description(name).snippet_faults]


def unwritable_signs() -> Iterator[tuple[str, str]]:
    """What no header's value can have, each with the proxy that cannot write it."""
    yield from ((sign, name.capitalize()) for name in NAMES for sign in description(name).unwritable)


def reserved_users() -> Iterator[tuple[str, str]]:
    """Names that no user of a site can have, each with the proxy that would read it as something else."""
    yield from ((user, name.capitalize()) for name in NAMES for user in description(name).reserved_users)
