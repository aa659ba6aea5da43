"""A shop of which one service runs on several hosts."""

from tests.support import PROD

HOST = PROD["infra:hosts"]["watchme"]
MEMBERS = ("watchme", "watchme-2", "watchme-3")
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
