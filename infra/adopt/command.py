"""`infra adopt aws`: look, show, ask, take over. Run again, it goes on."""

import json
import tempfile
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import typer

from catalogue.loading import Catalogue
from catalogue.shapes import JsonObject
from catalogue.stack import Stack
from infra.adopt import facts as looking
from infra.adopt import keys, mapping
from infra.errors import InfraError
from infra.pulumi import attempt, pulumi
from infra.writing import put
from rendering.host import zone_names


@dataclass(frozen=True)
class Owner:
    """Who made the machine: account on it, private key (None: nothing is done on the machine), and the fingerprint that
    its host key must have (None: a person looks at the one that it has)."""

    account: str
    identity: Path | None
    host_key: str | None = None


@dataclass(frozen=True)
class Candidate:
    """The machine that is to be taken over: AWS's `region` in which it was made, the `host` of the stack that it is to
    be (None: the only one), the id of its `instance` (None: a public name leads to it)."""

    region: str
    host: str | None
    instance: str | None


def adopt(catalogue: Catalogue, candidate: Candidate, owner: Owner, yes: bool) -> None:
    """Raises InfraError; nothing is half taken over: what is in the state already is left there."""
    stack, region = catalogue.stack, candidate.region
    host = mapping.host_of(catalogue, candidate.host)
    if host is None and not stack.ec2_hosts:
        _adopt_shared(catalogue, region, yes)
        return
    if host is None:
        raise InfraError(f"name the matching host of the stack with --host: {', '.join(stack.ec2_hosts)}")
    _ensure_region(stack, region)
    in_route53 = stack.dns.provider == "route53"
    names = zone_names(catalogue, host)
    facts = looking.gather(stack.zone if in_route53 else "", names, region, candidate.instance)
    imports = mapping.resources_to_import(catalogue, host, facts)
    typer.echo(f"{region}: {facts.instance.id} ({facts.instance.type}) at {facts.address}")
    for entry in imports:
        typer.echo(f"  {entry.id:<40} → {entry.name}")
    typer.echo("differences:")
    for line in mapping.differences(catalogue, host, facts):
        typer.echo(f"  {line}")
    if stack.dns.provider == "cloudflare":
        typer.echo(f"  its names at Cloudflare are not changed: infra dns adopt {' '.join(names)} adopts them")
    key = owner.host_key or (keys.fingerprint(facts.address) if owner.identity else "")
    if key and not owner.host_key:
        typer.echo(f"{host} has the host key {key}; compare it with the console log (EC2, Get system log)")
    if not yes and not typer.confirm("\nAdopt these resources?"):
        raise InfraError("nothing was touched")
    if owner.identity:
        keys.install(stack, host, keys.Machine(facts.address, 22, owner.account, owner.identity, key))
        typer.echo(f"{host} now accepts the stack's key, and has its own host key")
    for name, value in mapping.configuration(stack, facts).items():
        path = ["--path"] if name.startswith("infra:") else []
        pulumi("config", "set", "--stack", stack.name, *path, name, value)
    _import(catalogue, facts, imports)
    typer.echo(f"adopted. To see what would change: pulumi preview --diff --stack {stack.name}")


def _ensure_region(stack: Stack, region: str) -> None:
    now = json.loads(pulumi("stack", "output", "--json", "--stack", stack.name) or "{}").get("region", region)
    if now != region:
        raise InfraError(
            f"stack {stack.name} already serves from {now}: use another stack for {region}, or move this one"
        )


def _adopt_shared(catalogue: Catalogue, region: str, yes: bool) -> None:
    """The repositories and records of a stack whose machines are their owners' (kind: ssh)."""
    stack = catalogue.stack
    _ensure_region(stack, region)
    if region != stack.region:
        raise InfraError(f"stack {stack.name} is of {stack.region} (aws:region): its repositories are there")
    names = mapping.names_of_records(catalogue)
    facts = looking.gather_shared(stack.zone if names else "", names, region)
    imports = mapping.shared_resources(catalogue, facts)
    if not imports:
        typer.echo(f"{region} has no repository and no record of stack {stack.name}: nothing to adopt")
        return
    typer.echo(f"{region}: no machine of EC2 in stack {stack.name}: its repositories and records")
    for entry in imports:
        typer.echo(f"  {entry.id:<40} → {entry.name}")
    typer.echo("differences:")
    for line in mapping.shared_differences(catalogue, facts):
        typer.echo(f"  {line}")
    if not yes and not typer.confirm("\nAdopt these resources?"):
        raise InfraError("nothing was touched")
    _import(catalogue, facts, imports)
    typer.echo(f"adopted. To see what would change: pulumi preview --diff --stack {stack.name}")


def _import(catalogue: Catalogue, facts: looking.Facts | looking.SharedFacts, imports: list[mapping.Import]) -> None:
    stack = catalogue.stack
    state = json.loads(pulumi("stack", "export", "--stack", stack.name))
    there: list[JsonObject] = state["deployment"].setdefault("resources", []) or []
    existing: set[str] = {entry["urn"] for entry in there}
    ids = [str(uuid.uuid4()) for _ in range(2)]
    base = mapping.state(stack, facts, imports, version("pulumi-aws"), ids)
    state["deployment"]["resources"] = [*there, *(entry for entry in base if entry["urn"] not in existing)]
    existing_names = {urn.rsplit("::", 1)[-1] for urn in existing if "::aws:" in urn or "$aws:" in urn}
    remaining = [entry for entry in imports if entry.name not in existing_names]
    pulumi("stack", "import", "--stack", stack.name, value=json.dumps(state))
    if not remaining:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "import.json"
        put(file, json.dumps(mapping.import_file(stack, remaining)))
        result = attempt(
            "import", "--file", str(file), "--stack", stack.name, "--yes", "--protect=false", "--generate-code=false",
            "--skip-preview",
        )  # fmt: skip
    if result.returncode:
        errors = [line.strip() for line in f"{result.stdout}\n{result.stderr}".splitlines() if "error:" in line]
        raise InfraError(
            f"pulumi import: {errors[0] if errors else result.stderr.strip()[-300:]}; run again to continue"
        )
