"""The stack's configuration: which account, region and hosts, and which system runs where."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError

from catalogue.dns import Dns
from catalogue.elsewhere import Bucket, Certificates, NameServer, Url
from catalogue.encrypted_values import ENCRYPTED, in_plain_text, is_empty, is_sealed, mark_encrypted
from catalogue.fields import AccountId, Email, HostName, Model, Name, Network, PublicKey, Region, pattern_text
from catalogue.files import SourceText, mapping, read_mapping, read_text
from catalogue.host import HOST_KINDS, AnyHost, Ec2Host, Host, HostCopy, SshHost, with_members
from catalogue.instances import Instance
from catalogue.languages import ENGLISH, Language
from catalogue.logs import Logs
from catalogue.machines import FIRST, place_of
from catalogue.problems import CatalogueError, Problem
from catalogue.pushers import GitRepository, Pusher
from catalogue.records import Record
from catalogue.shapes import is_mapping
from catalogue.sizes import Architecture
from catalogue.sources import AnySource
from catalogue.timezones import UTC, TimeZone
from catalogue.validation import Document, misread_values, problems_of

PROJECT = "infra"
# `secret: true` in Pulumi.yaml would do, but allows no default: every stack would have to set every key
SECRET_KEYS = [f"{PROJECT}:{key}" for key in ("sshPrivateKey", "hostPrivateKeys", "secrets")]
# Secrets of every host's monitor, under infra:secrets.monitor: where notices go
# Logins of other registries, under infra:secrets.registries: host → user:password
REGISTRIES = "registries"
MONITOR, MONITOR_SECRETS = "monitor", ("webhook",)
# Values that several systems share, under infra:secrets.shared: each system says which it takes (shared_secrets)
SHARED = "shared"
# What backups are encrypted with, under infra:secrets.backup
BACKUP, BACKUP_SECRETS = "backup", ("RESTIC_PASSWORD",)
# Cloudflare's, under infra:secrets.dns: the operator's for records, and the hosts' for proofs of names
DNS, API_TOKEN, PROOF_TOKEN = "dns", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_PROOF_TOKEN"
DNS_SECRETS = (API_TOKEN, PROOF_TOKEN)
# What a server of logs knows the hosts by, under infra:secrets.logs, where infra:logs leads to one that is posted to
LOGS, LOG_TOKEN = "logs", "TOKEN"
UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{architecture}/hvm/ebs-gp3/ami-id"


@dataclass(frozen=True)
class Login:
    """How a host is reached over SSH, but for its address."""

    user: str
    port: int
    host_key: str


ZoneName = Annotated[str, pattern_text(r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$", "an availability zone, such as us-east-1a")]


class Place(Model):
    """An existing network, in which a region's hosts are."""

    vpc: Annotated[str, pattern_text(r"^vpc-[0-9a-f]+$", "the id of a VPC, such as vpc-0a1b2c3d")]
    """The VPC's identifier, such as `vpc-0a1b2c3d`."""
    subnet: Annotated[str, pattern_text(r"^subnet-[0-9a-f]+$", "the id of a subnet, such as subnet-0a1b2c3d")]
    """The identifier of one of its subnets, which the hosts are in, such as `subnet-0a1b2c3d`."""


class Stack(Model):
    """Every key of the `infra:` namespace, named as in `Pulumi.yaml`, and `aws:region` as `region`.

    `names` replaces a site's name in this stack (dev must not own prod's), `variants` chooses one of a system's. Keys
    and secrets are ENCRYPTED where the caller could not decrypt them: `infra check` only sees that they are there.
    """

    _file: str = PrivateAttr("")
    name: str
    region: Region
    accountId: AccountId
    zone: HostName
    dns: Dns = Dns()
    names: dict[HostName, HostName] = {}
    variants: dict[Name, Name] = {}
    adminCidrs: Annotated[list[Network], Field(min_length=1)]
    statusCidrs: list[Network] = []
    temporarySsh: Annotated[bool, Field(strict=False)] = False
    # With none, a host can be read off (infra adopt host); an update needs one
    hosts: Annotated[dict[Name, AnyHost], AfterValidator(with_members)]
    # Pulumi writes numbers and truth back as text, hence strict=False on them
    sharedRepositories: Annotated[bool, Field(strict=False)] = False
    protected: Annotated[bool, Field(strict=False)] = False
    budget: Annotated[float, Field(gt=0, le=1e9, strict=False)] = 300
    creditsBudget: Annotated[float, Field(ge=0, le=1e9, strict=False)] = 0
    # AWS Budgets notifies ten addresses at most
    alarmEmails: Annotated[list[Email], Field(max_length=10)] = []
    cloudwatchDashboard: Annotated[bool, Field(strict=False)] = False
    repairs: Annotated[bool, Field(strict=False)] = True
    language: Language = ENGLISH
    timezone: TimeZone = UTC
    sshUser: Name = "ubuntu"
    amiParameter: str = UBUNTU
    standbyRegions: list[Region] = []
    networks: dict[Region, Place] = {}
    availabilityZones: dict[Region, ZoneName] = {}
    singleCheck: Annotated[int, Field(ge=9, le=300, strict=False)] = 30
    moveData: Annotated[bool, Field(strict=False)] = True
    drainQuiet: Annotated[int, Field(ge=0, le=3600, strict=False)] = 30
    drainLimit: Annotated[int, Field(ge=10, le=86400, strict=False)] = 3600
    nameServers: list[NameServer] = []
    acmeDirectory: Url = "https://acme-v02.api.letsencrypt.org/directory"
    acmeEmail: Email
    trustedRoots: list[Certificates] = []
    logs: Logs = Logs()
    records: list[Record] = []
    pushers: dict[GitRepository, Pusher] = {}
    recordTtl: Annotated[int, Field(ge=1, le=86400, strict=False)] = 60
    readyTimeout: Annotated[int, Field(ge=10, le=3600, strict=False)] = 900
    healthDeadline: Annotated[int, Field(ge=5, le=3600, strict=False)] = 180
    confirmDeadline: Annotated[int, Field(ge=5, le=3600, strict=False)] = 60
    keepSnapshots: Annotated[int, Field(ge=0, le=1000, strict=False)] = 7
    backupRegion: Region | Literal[""] = ""
    backupBucket: Bucket | Literal[""] = ""
    keepReleases: Annotated[int, Field(ge=2, le=50, strict=False)] = 5
    sshPublicKey: PublicKey | None = None
    sshPrivateKey: str | None = None
    hostPublicKeys: dict[Name, PublicKey] = {}
    hostPrivateKeys: dict[Name, str] = {}
    secrets: dict[Name, dict[str, str]] = {}
    secretsFrom: dict[Name, dict[str, AnySource]] = {}

    @property
    def registry_logins(self) -> dict[str, dict[str, str]]:
        """Registry → user and password, of those that ask for a login and whose login could be decrypted."""
        logins = {host: value for host, value in self.secrets.get(REGISTRIES, {}).items() if not is_sealed(value)}
        parts = {host: value.partition(":") for host, value in logins.items()}
        return {host: {"user": user, "password": password} for host, (user, _, password) in parts.items()}

    @property
    def registry(self) -> str:
        """The registry's host name, from which every image of this stack comes."""
        return f"{self.accountId}.dkr.ecr.{self.region}.amazonaws.com"

    @property
    def backup_bucket(self) -> str:
        """The bucket that backups are kept in: one that exists (infra:backupBucket), or the stack's own."""
        name = re.sub(r"[^a-z0-9-]", "-", self.name.lower()).strip("-")[:20]
        if name != self.name:
            # Another stack may lose the same of its name
            name = f"{name[:13]}-{hashlib.sha256(self.name.encode()).hexdigest()[:6]}"
        return self.backupBucket or f"{name}-backups-{self.accountId}-{self.backupRegion}"

    @property
    def regions(self) -> list[str]:
        """Where the stack's hosts run: the region that serves, then those that stand by."""
        return [self.region, *self.standbyRegions]

    @property
    def file(self) -> str:
        """Its file, as messages name it."""
        return self._file or f"Pulumi.{self.name}.yaml"

    def name_file(self, file: str) -> None:
        self._file = file

    def at(self, region: str) -> "Stack":
        """The same stack as it is in one of its regions."""
        return self.model_copy(update={"region": region, "standbyRegions": []})

    @property
    def ec2_hosts(self) -> dict[str, Ec2Host]:
        return {name: host for name, host in self.hosts.items() if isinstance(host, Ec2Host)}

    def place(self, host: str) -> str:
        """Where the host's machine is (catalogue/machines.py); "" of one that is in no region."""
        spec = self.hosts[host]
        return place_of(self.region, spec.generation) if isinstance(spec, Ec2Host) else ""

    def places(self, host: str) -> set[str]:
        """Where an EC2 host has machines: its own in each region, and those that it keeps in the one that serves."""
        spec = self.ec2_hosts[host]
        kept_places = {place_of(self.region, number) for number in spec.kept_types}
        return kept_places | {place_of(region, spec.generation) for region in self.regions}

    def resource_prefix(self, host: str) -> str:
        """What the names of the host's resources in Pulumi begin with."""
        return "-".join(part for part in (host, self.place(host)) if part)

    def with_machine(self, host: str, generation: int) -> "Stack":
        """The same stack with a machine that a host keeps as the host's own."""
        spec = self.ec2_hosts[host]
        changes = HostCopy(generation=generation, instanceType=spec.kept_types[generation], kept=[])
        return self.model_copy(update={"hosts": self.hosts | {host: spec.model_copy(update=changes)}})

    @property
    def generations(self) -> dict[str, int]:
        """Host → which machine of its name it is, of those that are not the first."""
        return {name: host.generation for name, host in self.ec2_hosts.items() if host.generation != FIRST}

    def login(self, host: str) -> Login:
        """An EC2 host's key is empty until `infra init` has made it."""
        spec = self.hosts[host]
        if isinstance(spec, SshHost):
            return Login(spec.user, spec.port, " ".join(spec.hostKey.split()[:2]))
        return Login(self.sshUser, 22, self.hostPublicKeys.get(host, ""))

    def in_zone(self, name: str) -> bool:
        """Is a public name ours to point somewhere."""
        return name == self.zone or name.endswith(f".{self.zone}")

    @property
    def dns_token(self) -> str:
        """What the zone's provider knows this stack by; "" where it needs nothing, or it was not decrypted."""
        token = self.secrets.get(DNS, {}).get(API_TOKEN, "") if self.dns.provider == "cloudflare" else ""
        return "" if is_sealed(token) else token

    def dns_owner(self, part: str) -> str:
        """By what the stack knows its own records again: the comment beside each at Cloudflare (100 characters), whose
        last word says what part of the stack wrote it."""
        short = f"{self.name[:32]}~{hashlib.sha256(self.name.encode()).hexdigest()[:7]}"
        name = self.name if len(self.name) <= 40 else short
        return f"infra: stack {name} of AWS account {self.accountId}, {part}"

    def public_name(self, site: str) -> str:
        return self.names.get(site, site)

    def ami_parameter(self, architecture: Architecture) -> str:
        return self.amiParameter.replace("{architecture}", architecture)


def stack_from(name: str, values: Mapping[str, object], file: str, path: Path | None = None) -> Stack:
    """The stack out of `{"infra:adminCidrs": [...], "aws:region": ...}`, which messages quote as the file at `path` has
    it. Raises CatalogueError."""
    fields: dict[str, object] = {"name": name}
    for key, value in values.items():
        namespace, _, field = key.partition(":")
        if namespace == PROJECT and field in ("name", "region"):
            raise CatalogueError([Problem(file, key, "is not a key", f"set aws:region instead of {PROJECT}:region")])
        if namespace == PROJECT:
            fields[field] = value
    if "aws:region" in values:
        fields["region"] = values["aws:region"]
    text = SourceText(read_text(path, file)) if path else None

    def text_at(place: tuple[int | str, ...], value: Any) -> str | None:
        key = "aws:region" if place[0] == "region" else f"{PROJECT}:{place[0]}"
        return text.at(("config", key, *place[1:]), value) if text else None

    document = Document(file, _key, _fields, text_at)
    try:
        stack = Stack.model_validate(fields)
        stack.name_file(file)
        for group, names in stack.secretsFrom.items():
            # Asked for where the program runs (components/configuration.py)
            stack.secrets[group] = dict.fromkeys(names, ENCRYPTED) | stack.secrets.get(group, {})
        if problems := [*misread_values(fields, stack, document)]:
            raise CatalogueError(problems)
        return stack
    except ValidationError as error:
        raise CatalogueError(problems_of(error, document, Stack)) from None


def _key(path: tuple[int | str, ...]) -> str:
    head = "aws:region" if path and path[0] == "region" else f"{PROJECT}:{path[0] if path else ''}"
    # The third part of a host's path is its kind, which its file does not have there
    rest = (path[1], *path[3:]) if path and path[0] == "hosts" and len(path) > 2 else path[1:]
    return ".".join([head, *map(str, rest)])


def _fields(path: tuple[int | str, ...]) -> list[str]:
    model = HOST_KINDS.get(str(path[2]), Host) if path[:1] == ("hosts",) and len(path) > 2 else Stack
    if path[3:4] == ("systems",) and len(path) > 5:
        model = Instance
    return [field.alias or name for name, field in model.model_fields.items()]


def shown_path(path: Path, project: Path) -> str:
    """A stack's file as messages name it: elsewhere than in the project's root there can be another of the name."""
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)


def stack_names(project: Path) -> list[str]:
    """The stacks that have a file in the project's root, sorted."""
    return sorted(path.name.split(".")[1] for path in project.glob("Pulumi.*.yaml"))


def read_stack(project: Path, name: str, file: Path | None = None) -> Stack:
    """The stack out of its file, without Pulumi; encrypted values become ENCRYPTED. Raises CatalogueError."""
    path = file or project / f"Pulumi.{name}.yaml"
    if not path.exists():
        fault, rule = f"there is no stack {name!r}", f"stacks: {', '.join(stack_names(project))}"
        if file is not None:
            fault = f"PULUMI_OPTION_CONFIG_FILE names {file}, which does not exist"
            rule = "unset that variable, or restore the file"
        raise CatalogueError([Problem(path.name, "stack", fault, rule)])
    display_path = shown_path(path, project)
    values = read_config(path, display_path)
    sealed = {key: mark_encrypted(value) for key, value in values.items()}
    _refuse_two_values(sealed, display_path)
    if exposed := [key for key in SECRET_KEYS if not is_empty(sealed.get(key), (None, "", ENCRYPTED))]:
        raise CatalogueError(in_plain_text(display_path, exposed))
    return stack_from(name, sealed, display_path, path)


def _refuse_two_values(values: Mapping[str, object], file: str) -> None:
    """Raises CatalogueError for a secret that has a value, and comes from elsewhere."""
    set_here, elsewhere = values.get(f"{PROJECT}:secrets"), values.get(f"{PROJECT}:secretsFrom")
    if not is_mapping(set_here) or not is_mapping(elsewhere):
        return
    groups = {group: names for group, names in elsewhere.items() if is_mapping(names)}
    here = {group: values for group, values in set_here.items() if is_mapping(values)}
    both = [f"{group}.{name}" for group, names in groups.items() for name in names if name in here.get(group, {})]
    if both:
        fault = f"{', '.join(sorted(both))} also has a value in {PROJECT}:secrets"
        rule = "one of the two: remove it from one of them in that file"
        raise CatalogueError([Problem(file, f"{PROJECT}:secretsFrom", fault, rule)])


def read_config(path: Path, file: str) -> dict[str, object]:
    """What stands below `config:` of a stack's file: key → value. Raises CatalogueError."""
    values = read_mapping(path, file, "begin it with `config:`, the stack's configuration below it").get("config")
    return mapping({} if values is None else values, file, "config", "write a line `infra:KEY: VALUE` for each key")
