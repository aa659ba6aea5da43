"""The proxies that a host can have: each module describes one as `PROXY`, under the name that infra:hosts has for it.

A module here and one of the same name in `agent/proxies/` are a whole proxy: its sites with their headers, users and
certificates. What it can do beyond that, and its snippets, a module in `catalogue/proxies/` says. What Nginx alone can
do stays knowledge of Nginx: slots, replicas and waiting requests (`rendering/holding.py`), and how a hand-made
configuration is read that is taken over (`infra/adopt/host/`).
"""

import importlib

from catalogue.proxies import NAMES
from rendering.proxy import Proxy

PROXIES: dict[str, Proxy] = {name: importlib.import_module(f"{__name__}.{name}").PROXY for name in NAMES}
