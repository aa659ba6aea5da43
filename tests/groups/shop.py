"""A shop of which one service runs on several hosts."""

from tests.support import PROD

HOST = PROD["infra:hosts"]["watchme"]
MEMBERS = ("watchme", "watchme-2", "watchme-3")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDIhz2GK/XCUj4i6Q5yQJNL1MXMY0RxzPV2QrBqfHrDq"
OF_ALL = {
    "infra:hostPublicKeys": dict.fromkeys(MEMBERS, "ssh-ed25519 DDDD host"),
    "infra:hostPrivateKeys": dict.fromkeys(MEMBERS, "PRIVATE-HOST-KEY"),
}


def spread_web(text):
    """A web service that can run anywhere."""
    lines = [line for line in text.splitlines() if "/srv/shop/media" not in line and "release:" not in line]
    kept = "\n".join(lines).replace("    depends_on: {shop-db: {condition: service_healthy}}\n", "")
    kept = kept.replace("    unit: web.service\n", "").replace("    directory: /opt/web\n", "")
    return kept.replace("    port: 8040\n", "    port: 8040\n    spread: 3\n")


def own_machines(**memory):
    """Machines of one's own in the group of `box`, by their memory."""
    hosts = {}
    for number, (name, size) in enumerate(memory.items(), 5):
        place = {"address": f"192.0.2.{number}", "privateAddress": f"10.0.0.{number}", "hostKey": KEY, "memory": size}
        hosts[name] = {"kind": "ssh", "systems": [], "group": "box", "reserve": "1k", **place}
    del hosts["box"]["group"]
    hosts["box"]["systems"] = ["shop"]
    return hosts
