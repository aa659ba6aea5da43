"""Runs the cloud of one lab until it is ended: `python -m lab.cloud NAME NUMBER DIRECTORY`."""

import json
import os
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server

from infra.writing import put
from lab import ports
from lab.cloud import dns, ecr, ecr_api, firewall, machine_images
from lab.cloud.cloudflare import Cloudflare
from lab.cloud.disks import Disks
from lab.cloud.forward import Forwarder
from lab.cloud.hosts import Machines
from lab.cloud.metadata import Metadata
from lab.cloud.proxy import Proxy
from lab.cloud.runs import Runs
from lab.cloud.unsteady import Unsteady
from lab.settings import ACCOUNT, ZONE, Lab


def main(lab: Lab) -> None:
    images = lab.path("amis.json")
    machine_images.write(images)
    os.environ.update(
        MOTO_ACCOUNT_ID=ACCOUNT,
        MOTO_ENABLE_KEYPAIR_VALIDATION="true",
        MOTO_ENABLE_AMI_VALIDATION="true",
        MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION="true",
        MOTO_AMIS_PATH=str(images),
    )
    from lab.cloud import emulator

    machines = Machines(lab, Forwarder(), emulator.public_address)
    groups = firewall.Firewall(lab)
    emulator.give_loopback_addresses(lab)
    keys = emulator.seed()
    ecr_api.show_images_of(lab)
    ecr_api.hand_out_tokens_of(lab)
    emulator.enforce_permissions()

    def identify(address: str) -> Any:
        id = machines.instance_at(address)
        return next((instance for instance in emulator.instances() if instance.id == id), None)

    disks = Disks(lab, machines.container)

    def follow() -> None:
        machines.follow(emulator.instances())
        with machines.lock:
            groups.follow(emulator.guarded_hosts(machines))
            disks.follow(emulator.volumes(), emulator.snapshots())

    machines.changed = follow
    groups.follow([])
    bad_day = Unsteady(lab.path("run", "unsteady.json"), emulator.records)
    cloudflare = Cloudflare([ZONE], lab.path("run", "cloudflare.json"))
    api = emulator.Application(follow, lab.path("run", "refusals.json"), bad_day, cloudflare)
    serve(api, lab.services, ports.API + lab.shift)
    serve(api, lab.gateway, ports.HTTPS + lab.shift, lab.path("tls", "aws"))
    serve(
        Metadata(identify, emulator.Credentials(), emulator.role_of, emulator.public_address),
        lab.gateway,
        ports.METADATA + lab.shift,
    )
    serve(Runs(lab.path("run", "runs"), machines.instance_at), lab.gateway, ports.RUNS + lab.shift)
    for address in (lab.services, lab.gateway):
        dns.serve(
            lambda: cloudflare.instead_of(bad_day.records()) + emulator.foreign_records(lab),
            address,
            ports.DNS + lab.shift,
        )
    ecr.serve(lab, ecr_api.has_repository)
    Proxy(lab.machine_names).serve(lab.services, ports.PROXY + lab.shift)
    announce_ready(lab, keys)
    threading.Event().wait()


def serve(app: Any, address: str, port: int, certificate: Path | None = None) -> None:
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class Quiet(MotoRequestHandler):
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            pass

    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.with_suffix(".crt"), certificate.with_suffix(".key"))
    server = make_server(address, port, app, threaded=True, request_handler=Quiet, ssl_context=context)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def announce_ready(lab: Lab, keys: dict[str, str]) -> None:
    """The administrator's keys, for `.lab/env`; their file's arrival says that the cloud answers."""
    put(lab.path("run", "credentials.json"), json.dumps(keys), 0o600)


if __name__ == "__main__":
    main(Lab(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
