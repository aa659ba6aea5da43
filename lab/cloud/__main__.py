"""Runs the cloud of one lab until it is ended: `python -m lab.cloud NAME NUMBER DIRECTORY`."""

import json
import os
import ssl
import sys
import threading
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from lab.settings import ACCOUNT, REGIONS, ZONE, Lab

LAB = Lab(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
AMI = {"arm64": "ami-0a71000000000arm0", "x86_64": "ami-0a71000000000amd6"}
PARAMETER = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{}/hvm/ebs-gp3/ami-id"

# moto reads its environment when it is imported
os.environ.update(
    MOTO_ACCOUNT_ID=ACCOUNT,
    MOTO_ENABLE_KEYPAIR_VALIDATION="true",
    MOTO_ENABLE_AMI_VALIDATION="true",
    MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION="true",
    MOTO_AMIS_PATH=str(LAB.path("amis.json")),
)


def write_images() -> None:
    images = [
        {
            "ami_id": ami, "state": "available", "public": True, "owner_id": "099720109477", "image_location": "amazon/ubuntu",
            "sriov": "simple", "root_device_type": "ebs", "root_device_name": "/dev/sda1", "image_type": "machine",
            "description": "Ubuntu 24.04 LTS (the lab's machine image stands for it)", "hypervisor": "xen",
            "name": f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{architecture}", "virtualization_type": "hvm",
            "architecture": architecture, "platform": None,
        }
        for architecture, ami in AMI.items()
    ]  # fmt: skip
    LAB.path("amis.json").write_text(json.dumps(images))


write_images()

from moto import settings
from moto.backends import get_backend
from moto.core.authorization import ActionAuthenticatorMixin
from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.ssm.models import Parameter
from werkzeug.serving import WSGIRequestHandler, make_server

from lab.cloud import dns, permissions
from lab.cloud.forward import Forwarder
from lab.cloud.hosts import Machines
from lab.cloud.metadata import Metadata

_counter = iter(range(2, 250 * 250))


def loopback_address(*_: Any, **__: Any) -> str:
    number = next(_counter)
    return f"127.{LAB.number}.{number // 250}.{number % 250 + 2}"


elastic_network_interfaces.random_public_ip = loopback_address
elastic_ip_addresses.random_ip = loopback_address


def ec2(region: str) -> Any:
    return get_backend("ec2")[ACCOUNT][region]


def instances() -> list[Any]:
    return [instance for region in REGIONS for instance in ec2(region).all_instances()]


def seed() -> dict[str, str]:
    """The zone that the owner has, the image parameter, and an administrator; returns the latter's keys."""
    for region in REGIONS:
        store = get_backend("ssm")[ACCOUNT][region]
        for architecture, name in (("arm64", "arm64"), ("x86_64", "amd64")):
            path = PARAMETER.format(name)
            store._parameters[path].append(
                Parameter(
                    account_id=ACCOUNT,
                    name=path,
                    value=AMI[architecture],
                    parameter_type="String",
                    description="",
                    allowed_pattern=None,
                    keyid=None,
                    last_modified_date=0,
                    version=1,
                    data_type="aws:ec2:image",
                )  # fmt: skip
            )
    route53 = get_backend("route53")[ACCOUNT]["aws"]
    route53.create_hosted_zone(
        name=f"{ZONE}.", private_zone=False, caller_reference="lab", vpcid=None, vpcregion=None, comment="",
        delegation_set_id=None,
    )  # fmt: skip
    iam = get_backend("iam")[ACCOUNT]["aws"]
    iam.create_user(region_name="us-east-1", user_name="lab-admin")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy("lab-admin", "administrator", json.dumps(everything))
    key = iam.create_access_key("lab-admin")
    return {"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}


def records() -> list[dict[str, Any]]:
    backend = get_backend("route53")[ACCOUNT]["aws"]
    return [
        {
            "Name": record.name,
            "Type": record.type,
            "TTL": int(record.ttl or 0),
            "ResourceRecords": record.resource_records or [],
        }
        for zone in backend.zones.values()
        for record in list(zone.rrsets)
        if record.type in dns.SERVED
    ]


class Application:
    """moto, with every EC2 request followed by a look at the instances, and what it lacks refused in plain words."""

    def __init__(self, machines: Machines) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.machines = machines

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        try:
            answer = b"".join(self.moto(environ, start))
        except Exception as error:
            # An HTML page would be retried for minutes
            print(f"moto: {environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {error!r}", flush=True)
            start("400 Bad Request", [("Content-Type", "application/xml")])
            text = f"<Response><Errors><Error><Code>InvalidAction</Code><Message>{escape(str(error))}</Message></Error></Errors></Response>"
            return [text.encode()]
        if "/ec2/aws4_request" in authorization:
            self.machines.follow(instances())
        return [answer]


def role_of(instance: Any) -> str | None:
    association = ec2(instance.region_name).iam_instance_profile_associations.get(instance.id)
    roles = association.iam_instance_profile.roles if association else []
    return roles[0].name if roles else None


class Credentials:
    """A role's credentials, made once an hour."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, str]] = {}

    def __call__(self, instance: Any) -> dict[str, str] | None:
        role = role_of(instance)
        if role is None:
            return None
        if instance.id not in self.made:
            assumed = get_backend("sts")[ACCOUNT]["aws"].assume_role(
                region_name=instance.region_name, role_session_name=instance.id, external_id=None,
                role_arn=f"arn:aws:iam::{ACCOUNT}:role/{role}", policy=None, duration=3600,
            )  # fmt: skip
            self.made[instance.id] = {
                "AccessKeyId": assumed.access_key_id,
                "SecretAccessKey": assumed.secret_access_key,
                "Token": assumed.session_token,
            }
        return self.made[instance.id]


class Quiet(WSGIRequestHandler):
    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        pass


def serve(app: Any, address: str, port: int, context: ssl.SSLContext | None = None) -> None:
    handler = type("Handler", (Quiet, MotoRequestHandler), {})
    server = make_server(address, port, app, threaded=True, request_handler=handler, ssl_context=context)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    machines = Machines(LAB, Forwarder())
    permissions.install()
    application = Application(machines)
    keys = seed()
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    ActionAuthenticatorMixin.request_count = 0

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(LAB.path("tls", "aws.crt"), LAB.path("tls", "aws.key"))
    serve(application, LAB.services, 5000)
    serve(application, LAB.gateway, 443, context)

    def identify(address: str) -> Any:
        id = machines.instance_at(address)
        return next((instance for instance in instances() if instance.id == id), None)

    serve(Metadata(identify, Credentials(), role_of), LAB.gateway, 8169)
    for address in (LAB.services, LAB.gateway):
        dns.serve(records, address, 5353)

    ready = LAB.path("run", "credentials.json")
    ready.touch(0o600)
    ready.write_text(json.dumps(keys))
    print("ready", flush=True)
    threading.Event().wait()


main()
