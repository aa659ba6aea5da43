"""The proxies that a host can have: each module describes one as `PROXY`, under the name that infra:hosts has for it.

A module here and one of the same name in `agent/proxies/` are a whole proxy: its sites with their headers, users and
certificates; slots, replicas and waiting requests where it says how it is led. What it can do beyond serving sites, and
its snippets, a module in `catalogue/proxies/` says. How a hand-made configuration is read that is taken over stays
knowledge of Nginx and Caddy (`infra/adopt/host/`).
"""

import importlib

from catalogue.proxies import NAMES
from rendering.proxy import Proxy

PROXIES: dict[str, Proxy] = {name: importlib.import_module(f"{__name__}.{name}").PROXY for name in NAMES}
