"""A host's logs that go to a syslog server as well: the service that sends them (agent/shipping.py)."""

from agent.documents.shipping import LogServer
from catalogue.loading import Catalogue
from rendering import watches
from rendering.files import HostFiles

UNIT = "infra-logs.service"
CONFIG = "/etc/infra/logs.json"
PARTS = [
    "shipping", "streams", "outcome", "store", "desired_state", "journal_fields", "quoting", "shapes", "world",
    "places",
]  # fmt: skip


def service(catalogue: Catalogue, host: str) -> HostFiles:
    """Nothing without infra:logs."""
    stack = catalogue.stack
    if not stack.logs.to:
        return HostFiles("")
    target: LogServer = {
        "host": stack.logs.host, "port": stack.logs.port, "tls": stack.logs.is_tls, "ca": stack.logs.ca,
        "name": f"{host}.{stack.name}",
    }  # fmt: skip
    return watches.watch(f"Pulumi.{stack.name}.yaml", UNIT, CONFIG, target, PARTS, to=stack.logs.to)
