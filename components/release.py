"""A release onto a host: one command on this machine, which sends one archive over one connection."""

import base64
import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_command as command

from agent import receive_source
from agent.documents.jobs import Secrets
from catalogue.loading import Catalogue
from catalogue.stack import BACKUP, DNS, LOG_TOKEN, LOGS, MONITOR, PROOF_TOKEN, Stack
from components.access import ReachableHost, here
from components.naming import inside
from components.passwords import hash_password
from rendering import backups, images, proofs, shipping
from rendering.archive import Release as Built
from rendering.host import AWS
from rendering.requests import ReleaseRequest, TargetFields
from rendering.sites import HASHED


@dataclass(frozen=True)
class ReleaseArgs:
    """A `release` for a `host` of a stack, with its `secrets` (service → name → value). `settles` names the last job of
    an interrupted update ("" for none): another one makes the command run, whatever else is unchanged."""

    stack: Stack
    host: ReachableHost
    release: pulumi.Output[Built]
    secrets: pulumi.Input[Secrets]
    settles: str


class Release(pulumi.ComponentResource):
    """`id` is the release that serves. The files' hashes are inputs of this component, so that a preview names the
    files that will change; the archive and the secrets travel over standard input."""

    id: pulumi.Output[str]

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        release = args.release
        inputs = {"release": release.apply(lambda built: built.id), "files": release.apply(lambda built: built.hashes)}
        super().__init__("infra:index:Release", name, inputs, opts)
        stdin = pulumi.Output.all(release, args.host.target, args.secrets).apply(
            lambda resolved: request(args.stack, *resolved, settles=args.settles)
        )
        applied = command.local.Command(
            f"{name}-apply",
            create=here("infra.deliver"),
            stdin=pulumi.Output.secret(stdin),
            # A new machine starts empty: the same release goes to it again
            triggers=[args.host.machine],
            # stderr has progress lines; the structured outcome on stdout becomes the output
            logging=command.local.Logging.STDERR,
            opts=inside(self, depends_on=[args.host.ready]),
        )
        outcome = applied.stdout.apply(json.loads)
        self.id = outcome.apply(lambda outcome_fields: outcome_fields["release"])
        files = pulumi.Output.all(outcome, release).apply(lambda both: both[1].hashes)
        self.register_outputs({"id": self.id, SETTLES: args.settles, "files": files})


SETTLES = "settles"
# Where infra.unfinished_jobs keeps them
JOBS = Path(".infra/jobs")


def to_settle(host: str, before: str) -> str:
    """The job on a host that an interrupted update of this checkout stopped following, else the one of `before`: what
    it did is not in Pulumi's state, in which nothing may have changed."""
    for note in sorted(JOBS.glob(f"{host}-*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(note.read_text(encoding="utf-8"))["id"])
    return before


def request(stack: Stack, release: Built, target: TargetFields, secrets: Secrets, settles: str = "") -> str:
    """The request to `infra.deliver`. It is deterministic: the same release and secrets are no change for Pulumi."""
    fields: ReleaseRequest = {
        "target": target,
        "release": release.id,
        "receive": receive_source(),
        "archive": base64.b64encode(release.archive).decode(),
        "secrets": secrets,
        "confirm": stack.confirmDeadline,
        "roots": stack.trustedRoots,
        "images": images.images_of(release.manifest),
        "owner": images.owner(stack.name, target["host"]),
    }
    if settles:
        fields["settles"] = settles
    return json.dumps(fields, sort_keys=True)


def secrets_for(catalogue: Catalogue, host: str, credentials: dict[str, str]) -> Secrets:
    """The secrets of the host's own services, and no others'; its sites' certificates, and of their users hashes; and
    its own in AWS, where it has no role."""
    services = {service.name for system in catalogue.systems_on(host) for service in system.active} | {MONITOR}
    services |= {BACKUP} if backups.services_with_backup(catalogue, host) else set()
    own = {service: values for service, values in catalogue.secrets.items() if service in services}
    if proofs.has_token(catalogue, host):
        # The other one is the operator's
        own[DNS] = {name: value for name, value in catalogue.secrets.get(DNS, {}).items() if name == PROOF_TOKEN}
    if shipping.has_token(catalogue.stack):
        own[LOGS] = {LOG_TOKEN: catalogue.secrets[LOGS][LOG_TOKEN]}
    for system in catalogue.systems_on(host):
        values = catalogue.secrets.get(system.system, {})
        passwords = {name: values[name] for name in sorted(system.passwords) if name in values}
        key = catalogue.stack.sshPrivateKey or ""
        # The words themselves go nowhere, unless a service names them as a secret of its own
        service_secrets = {
            name for service in system.active if service.name == system.system for name in service.secret_names
        }
        rest = {
            n: v for n, v in own.get(system.system, {}).items() if n in service_secrets or n not in system.passwords
        }
        hashes = {f"{n}{HASHED}": hash_password(key, f"{system.system}.{n}", value) for n, value in passwords.items()}
        texts = {name: values[name] for name in sorted(system.certificate_secrets) if name in values}
        own |= {system.system: rest | hashes | texts} if hashes or texts else {}
    return own | ({AWS: credentials} if credentials else {})
