"""Stacks with a data disk that the rules refuse, or warn of: what is changed of the system and the stack, and the line."""

from tests.catalogue.changes import hosted, setting
from tests.support import unchanged

DISK = hosted(dataDisk={"size": 50})
EXAMPLES = {
    "a data disk for nothing": (
        unchanged,
        DISK,
        "warning: Pulumi.prod.yaml: infra:hosts.watchme.dataDisk: is set, but nothing that runs there has data",
    ),
    "data beside the data disk": (
        lambda data: data.update(data=["/srv/watchme", "/opt/watchme/data"]),
        DISK,
        "system watchme: data /opt/watchme/data is not on the data disk of host watchme, and would be lost with its "
        "machine; must be below /srv/watchme",
    ),
    "a mount beside the data disk": (
        setting("web", volumes=["/opt/web/media:/media"]),
        DISK,
        "data /opt/web/media is not on the data disk of host watchme",
    ),
}
