"""A host's logs that go to a server as well: the service that sends them (agent/shipping.py)."""

from dataclasses import replace

from agent.documents.shipping import LogServer
from catalogue.loading import Catalogue
from catalogue.stack import LOG_TOKEN, LOGS, Stack
from rendering import watches
from rendering.environment import Secrets, secret_file
from rendering.files import HostFiles

UNIT = "infra-logs.service"
CONFIG = "/etc/infra/logs.json"
TOKEN = "/etc/infra/logs.env"
PARTS = [
    "shipping", "receivers", "posting", "streams", "outcome", "store", "desired_state", "journal_fields", "quoting",
    "shapes", "world", "places",
]  # fmt: skip


def has_token(stack: Stack) -> bool:
    """Whether the server of infra:logs knows the hosts by a secret."""
    return stack.logs.form is not None and LOG_TOKEN in stack.secrets.get(LOGS, {})


def service(catalogue: Catalogue, host: str, secrets: Secrets) -> HostFiles:
    """Nothing without infra:logs. The token is in a file of its own, readable by root only, whose change restarts the
    service."""
    stack = catalogue.stack
    if not stack.logs.to:
        return HostFiles("")
    target: LogServer = {
        "host": stack.logs.host, "port": stack.logs.port, "tls": stack.logs.is_tls, "ca": stack.logs.ca,
        "name": f"{host}.{stack.name}",
    }  # fmt: skip
    if stack.logs.form:
        target["form"], target["path"], target["user"] = stack.logs.form, stack.logs.path, stack.logs.user
    files = watches.watch(f"Pulumi.{stack.name}.yaml", UNIT, CONFIG, target, PARTS, to=stack.logs.to)
    if not has_token(stack):
        return files
    token = secret_file(TOKEN, LOGS, [LOG_TOKEN], secrets, stack)
    units = [replace(unit, files=[*unit.files, TOKEN]) for unit in files.units]
    return replace(files, units=units, environment_files=[token])
