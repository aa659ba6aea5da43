"""The proxies that a host can have: each module describes one as `PROXY`, under the name that infra:hosts has for it.

How a host is rendered for each is in `rendering/proxies/`. What they say of a host, `agent/japanese.py` translates.
"""

from __future__ import annotations

import importlib
import pkgutil

from agent.documents.moves import TrafficSigns
from agent.proxy import Proxy


def _names() -> list[str]:
    """The modules of this package. An agent that runs out of memory has no directory (agent/receive.py)."""
    names_below = getattr(__spec__.loader if __spec__ else None, "names_below", None)
    return names_below(__name__) if names_below else [module.name for module in pkgutil.iter_modules(__path__)]


PROXIES: dict[str, Proxy] = {name: importlib.import_module(f"{__name__}.{name}").PROXY for name in sorted(_names())}


def by_unit(name: str) -> Proxy | None:
    """The proxy whose unit has this name."""
    return next((proxy for proxy in PROXIES.values() if proxy.unit == name), None)


def by_file(path: str) -> Proxy | None:
    """The proxy whose configuration a file is of."""
    return next((proxy for proxy in PROXIES.values() if path.startswith(proxy.place)), None)


def unit_names() -> list[str]:
    return [proxy.unit for proxy in PROXIES.values()]


def has_file(path: str) -> bool:
    """Is it of a proxy's configuration."""
    return by_file(path) is not None


def signs_of_traffic() -> TrafficSigns:
    """What agent/traffic.py is given to see requests: the logs of all proxies, and the processes whose connections are
    requests."""
    processes = [proxy.process for proxy in PROXIES.values() if proxy.process]
    return {"logs": [proxy.log.document for proxy in PROXIES.values()], "processes": processes}
