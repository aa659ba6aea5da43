"""The daemons of a lab: the cloud and Pebble, with their certificates."""

import json
import ssl
import sys
import urllib.request
from typing import Any

from infra.writing import put
from lab import authority, ports
from lab.run import Daemon, wait_until
from lab.settings import OTHER_REGISTRIES, REGISTRIES, ROOT, Lab
from lab.tools import ensure_pebble


def make_certificates(lab: Lab) -> None:
    """The lab's root, and certificates for AWS's names, the registries and the ACME directory."""
    root = lab.path("tls", "root")
    authority.make_root(root)
    names = list(lab.host_names)
    authority.issue(root, lab.path("tls", "aws"), [*names, lab.gateway])
    addresses = [lab.registry_address(region) for region in REGISTRIES]
    registries = [*(name for name in names if ".dkr.ecr." in name), *OTHER_REGISTRIES]
    authority.issue(root, lab.path("tls", "registry"), [*registries, *addresses])
    authority.issue(root, lab.path("tls", "acme"), ["acme.lab.internal", lab.gateway])
    trust = lab.path("tls", "trust")
    trust.mkdir(exist_ok=True)
    put(trust / "ca.crt", root.with_suffix(".crt").read_bytes())


def cloud_daemon(lab: Lab) -> Daemon:
    return Daemon("cloud", lab.path("run"))


def pebble_daemon(lab: Lab) -> Daemon:
    return Daemon("pebble", lab.path("run"))


def start_cloud(lab: Lab) -> None:
    """Starts the rehearsal cloud, with a state as empty as a new account's."""
    daemon, ready = cloud_daemon(lab), lab.path("run", "credentials.json")
    ready.unlink(missing_ok=True)
    daemon.start(
        sys.executable, "-m", "lab.cloud", lab.name, str(lab.number), str(lab.directory), env={"PYTHONPATH": str(ROOT)}
    )
    wait_until("rehearsal cloud", ready.exists, daemon)


def start_pebble(lab: Lab) -> None:
    config = {
        "pebble": {
            "listenAddress": f"{lab.gateway}:{ports.ACME + lab.shift}",
            "managementListenAddress": f"{lab.gateway}:{ports.ACME_MANAGEMENT + lab.shift}",
            "certificate": str(lab.path("tls", "acme.crt")),
            "privateKey": str(lab.path("tls", "acme.key")),
            "httpPort": ports.HTTP,
            "tlsPort": ports.HTTPS,
        }
    }
    path = lab.path("run", "pebble.json")
    put(path, json.dumps(config))
    daemon = pebble_daemon(lab)
    calm = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0"}
    daemon.start(str(ensure_pebble()), "-config", str(path), "-dnsserver", f"{lab.gateway}:{ports.DNS}", env=calm)
    wait_until("Pebble", lambda: _acme_root(lab) is not None, daemon)


def _acme_root(lab: Lab) -> str | None:
    context = ssl.create_default_context(cafile=str(lab.path("tls", "root.crt")))
    url = f"https://{lab.gateway}:{ports.ACME_MANAGEMENT}/roots/0"
    try:
        with urllib.request.urlopen(url, context=context, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


def write_bundle(lab: Lab) -> None:
    """`LAB_CA`: the lab's root and the root that the sites' certificates come from."""
    root = lab.path("tls", "root.crt").read_text()
    put(lab.path("ca.pem"), root + (_acme_root(lab) or ""))


def credentials(lab: Lab) -> dict[str, Any]:
    return json.loads(lab.path("run", "credentials.json").read_text())
