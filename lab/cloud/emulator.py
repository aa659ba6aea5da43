"""moto as AWS's API: seeded with what the owner has, enforcing permissions, and watched for instances.

moto reads its environment when it is imported: `__main__` sets it first.
"""

import datetime
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from moto import settings
from moto.backends import get_backend
from moto.core.authorization import ActionAuthenticatorMixin
from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.ssm.models import Parameter

from lab.cloud import dns, faults, firewall, permissions, signatures, simulation
from lab.cloud.cloudflare import Cloudflare
from lab.cloud.hosts import Machines, tag
from lab.cloud.machine_images import PARAMETERS
from lab.cloud.unsteady import Unsteady
from lab.settings import ACCOUNT, REGIONS, ZONE, Lab


def ec2(region: str) -> Any:
    return get_backend("ec2")[ACCOUNT][region]


def instances() -> list[Any]:
    return [instance for region in REGIONS for instance in ec2(region).all_instances()]


def volumes() -> list[Any]:
    return [volume for region in REGIONS for volume in ec2(region).volumes.values()]


def snapshots() -> list[Any]:
    return [snapshot for region in REGIONS for snapshot in ec2(region).snapshots.values()]


def give_loopback_addresses(lab: Lab) -> None:
    """Public addresses out of the lab's own, each once."""
    numbers = iter(range(2, 250 * 250))

    def address(*_: Any, **__: Any) -> str:
        number = next(numbers)
        return f"127.{lab.number}.{number // 250}.{number % 250 + 2}"

    elastic_network_interfaces.random_public_ip = address
    elastic_ip_addresses.random_ip = address


def seed() -> dict[str, str]:
    """The zone that the owner has, the image parameters, and an administrator; returns the latter's keys."""
    for region in REGIONS:
        store: Any = get_backend("ssm")[ACCOUNT][region]
        for name, ami in PARAMETERS.items():
            now = datetime.datetime.now(datetime.UTC)
            store._parameters[name].append(
                Parameter(ACCOUNT, name, ami, "String", "", None, None, now, 1, "aws:ec2:image")
            )
    route53: Any = get_backend("route53")[ACCOUNT]["aws"]
    route53.create_hosted_zone(name=f"{ZONE}.", private_zone=False, caller_reference="lab", comment="")
    iam: Any = get_backend("iam")[ACCOUNT]["aws"]
    iam.create_user(region_name="us-east-1", user_name="lab-admin")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy("lab-admin", "administrator", json.dumps(everything))
    key = iam.create_access_key("lab-admin")
    return {"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}


def enforce_permissions() -> None:
    """From now on the policies of its caller decide on every request."""
    permissions.install()
    simulation.install()
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    ActionAuthenticatorMixin.request_count = 0


def records() -> list[dict[str, Any]]:
    """Every record of every zone, as Route 53 lists them."""
    backend: Any = get_backend("route53")[ACCOUNT]["aws"]
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


def foreign_records(lab: Lab) -> list[dict[str, Any]]:
    """What the owners of other zones would write: their names point at the host of their system, once it has one."""
    record_sets = []
    for instance in instances():
        systems = tag(instance, "system").split("+")
        address = public_address(instance) if instance.state == "running" else None
        for name, system in lab.foreign_names.items():
            if address and system in systems:
                record_sets.append({"Name": name, "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": address}]})
    return record_sets


def public_address(instance: Any) -> str | None:
    """The address that leads to an instance: its Elastic IP, else the automatic one."""
    for address in ec2(instance.region_name).describe_addresses():
        if address.instance and address.instance.id == instance.id:
            return address.public_ip
    return instance.public_ip


def guarded_hosts(machines: Machines) -> list[firewall.Host]:
    """The running instances, with what their security groups let in."""
    running = [instance for instance in instances() if machines.is_running(instance)]

    def members(group: str) -> list[str]:
        return [one.private_ip for one in running if group in [own.id for own in one.security_groups]]

    return [
        firewall.Host(
            machines.addresses[instance.id],
            instance.private_ip,
            public_address(instance),
            firewall.openings(instance.security_groups, members),
        )
        for instance in running
    ]


def role_of(instance: Any) -> str | None:
    association = ec2(instance.region_name).iam_instance_profile_associations.get(instance.id)
    roles = association.iam_instance_profile.roles if association else []
    return roles[0].name if roles else None


class Credentials:
    """The credentials of an instance's role, made when first asked for."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, str]] = {}

    def __call__(self, instance: Any) -> dict[str, str] | None:
        role = role_of(instance)
        if role is None:
            return None
        if instance.id not in self.made:
            sts: Any = get_backend("sts")[ACCOUNT]["aws"]
            arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
            assumed = sts.assume_role(instance.region_name, instance.id, arn, None, 3600, None)
            self.made[instance.id] = {
                "AccessKeyId": assumed.access_key_id,
                "SecretAccessKey": assumed.secret_access_key,
                "Token": assumed.session_token,
            }
        return self.made[instance.id]


class Services(DomainDispatcherApplication):
    """AWS's services alone. moto's own pages show every key that it knows, without a login, and its metadata service
    hands out credentials to any client; neither exists here, whatever path, name or signature a request comes with."""

    CLOSED = ("moto_api", "instance_metadata")

    def get_backend_for_host(self, host: str | None) -> Any:
        backend = super().get_backend_for_host(host)
        if backend in self.CLOSED:
            raise LookupError("The emulator's own pages are closed.")
        return backend


class Application:
    """moto as a WSGI app; `follow` is called after every EC2 request, and a file of faults, `refusals`
    (lab/cloud/faults.py), is looked at before any; so is what a bad day does to it (lab/cloud/unsteady.py). What is
    Cloudflare's goes there."""

    def __init__(self, follow: Callable[[], None], refusals: Path, unsteady: Unsteady, cloudflare: Cloudflare) -> None:
        self.moto, self.cloudflare = Services(create_backend_app), cloudflare
        self.follow, self.refusals, self.unsteady = follow, refusals, unsteady

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if self.cloudflare.is_asked(environ):
            return self.cloudflare(environ, start)
        if reason := signatures.refusal(environ, body):
            status, kind, text = faults.answer(faults.parse_request(environ, body), reason, "403 Forbidden")
            start(status, [("Content-Type", kind)])
            return [text]
        if self.refusals.exists():
            request = faults.parse_request(environ, body)
            reason = faults.fault(self.refusals, request)
            if reason == faults.HOLD:
                answer = list(self._respond(environ, start))
                faults.remember(self.refusals, request)
                faults.hold(self.refusals)
                return answer
            if reason:
                faults.remember(self.refusals, request)
                status, kind, text = faults.answer(request, reason)
                start(status, [("Content-Type", kind)])
                return [text]
        if not self.unsteady.file.exists():
            return self._respond(environ, start)
        request = faults.parse_request(environ, body)
        if refused := self.unsteady.refusal(request):
            status, kind, text = faults.answer(request, *refused)
            start(status, [("Content-Type", kind)])
            return [text]
        return [self.unsteady.note_answer(request, b"".join(self._respond(environ, self._without_length(start))))]

    @staticmethod
    def _without_length(start: Callable[..., Any]) -> Callable[..., Any]:
        """The headers without Content-Length: the answer may get another length."""

        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start(status, [(name, value) for name, value in headers if name.lower() != "content-length"], *more)

        return begin

    def _respond(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        try:
            answer = b"".join(self.moto(environ, start))
        except Exception as error:
            # An HTML page of an emulator that lacks something would be retried for minutes
            print(f"moto: {environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {error!r}", flush=True)
            start("400 Bad Request", [("Content-Type", "application/xml")])
            reason = f"<Code>InvalidAction</Code><Message>{escape(str(error))}</Message>"
            return [f"<Response><Errors><Error>{reason}</Error></Errors></Response>".encode()]
        if "/ec2/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
            self.follow()
        return [answer]
