"""The stack's configuration as Pulumi passes it to the program, with secrets decrypted."""

import difflib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pulumi
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret

from catalogue.deployed_images import Deployed, DeployRequest
from catalogue.encrypted_values import in_plain_text, is_empty
from catalogue.files import mapping, read_mapping
from catalogue.problems import CatalogueError, Problem
from catalogue.shapes import JsonObject
from catalogue.sources import SourcesAnswer, SourcesRequest
from catalogue.stack import PROJECT, SECRET_KEYS, Stack, shown_path, stack_from
from catalogue.updates import APPROVED_IMAGES, DEPLOYING, UNSETTLED

SOURCES = 300  # seconds for reading all secrets of infra:secretsFrom


def stack() -> Stack:
    """The stack of this update. Raises CatalogueError for an unknown key, an invalid value, or a secret in plain
    text."""
    name = pulumi.get_stack()
    file = stack_file_name(name)
    config_values = values(CONFIG.get() or get_config_env(), schema())
    plain = [key for key in SECRET_KEYS if not is_empty(config_values.get(key)) and not is_config_secret(key)]
    if plain:
        raise CatalogueError(in_plain_text(file, plain))
    return _with_secrets_of_others(stack_from(name, config_values, file), config_values, file)


def _with_secrets_of_others(own_stack: Stack, config_values: JsonObject, file: str) -> Stack:
    """The stack with the values of infra:secretsFrom, which only this process holds. Raises CatalogueError that names
    each secret without a value."""
    own: dict[str, dict[str, str]] = config_values.get(f"{PROJECT}:secrets") or {}
    if not any(name not in own.get(group, {}) for group, names in own_stack.secretsFrom.items() for name in names):
        return own_stack
    request = sources_request(own_stack, own)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "infra.sources"],
            input=json.dumps(request), capture_output=True, text=True, timeout=SOURCES, check=True,
        )  # fmt: skip
        answer: SourcesAnswer = json.loads(ran.stdout)
    except (subprocess.SubprocessError, ValueError):
        # Its output may contain a secret
        answer = {"wrong": "the values could not be read"}
    if (fault := answer.get("wrong")) is not None:
        rule = "check the name, the login and the rights that its source needs"
        raise CatalogueError([Problem(file, "infra:secretsFrom", fault.replace("\n", "; "), rule)])
    asked_values = answer.get("values", {})
    secrets = {group: own.get(group, {}) | asked_values.get(group, {}) for group in {*own, *asked_values}}
    return stack_from(own_stack.name, {**config_values, f"{PROJECT}:secrets": secrets}, file)


def sources_request(own_stack: Stack, own: dict[str, dict[str, str]]) -> SourcesRequest:
    """What `infra.sources` is asked for a stack whose `own` secrets have a value already (group → name → value)."""
    return {
        "region": own_stack.region,
        "sources": {
            group: {name: source.as_written() for name, source in names.items()}
            for group, names in own_stack.secretsFrom.items()
        },
        "given": {group: [*names] for group, names in own.items()},
    }


def stack_file_name(name: str) -> str:
    """The path of the stack's configuration file for messages: the one passed to Pulumi, or the project's."""
    path = Path(os.environ.get("PULUMI_OPTION_CONFIG_FILE") or "")
    if path.name != f"Pulumi.{name}.yaml":
        return f"Pulumi.{name}.yaml"
    return shown_path(path, Path.cwd())


def approved_images() -> dict[str, str]:
    """`repository:tag` → digest of the approved plan (`infra up --plan`), whatever has been pushed since."""
    return json.loads(os.environ.get(APPROVED_IMAGES, "{}"))


@dataclass(frozen=True)
class Deploying:
    """An update of some services of a host alone, and the images that are `deployed` after it. `basis` are the images
    that were deployed, and `release` the one that served on the host, when it was planned (None: not given). `versions`
    are secrets that change (`SERVICE/NAME` → digest of the value that is running); without any, images do."""

    host: str
    services: list[str]
    deployed: Deployed
    basis: Deployed | None = None
    release: str | None = None
    versions: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def changes(self) -> str:
        """What the release may differ in from the one that serves."""
        return f"{'secrets' if self.versions else 'images'} of {', '.join(self.services)}"


def deploying(stack: str) -> Deploying | None:
    """The update that `infra deploy` asks for; None for a whole one. Raises pulumi.RunError for a whole update while
    the outcome of an interrupted `infra deploy` is unknown."""
    requested, note = os.environ.get(DEPLOYING), Path(UNSETTLED.format(stack=stack))
    if requested:
        fields: DeployRequest = json.loads(requested)
        return Deploying(**fields)
    if note.exists():
        raise pulumi.RunError(
            "nothing was touched: an infra deploy of this checkout was interrupted, and its outcome is unknown: run it "
            f"again ({note.read_text(encoding='utf-8').strip()}), or remove {note} to drop it"
        )
    return None


def schema() -> dict[str, str]:
    """Configuration key → type, from `Pulumi.yaml`. Raises CatalogueError."""
    project = read_mapping(Path("Pulumi.yaml"), "Pulumi.yaml", "it describes this project")
    keys = mapping(project.get("config"), "Pulumi.yaml", "config", "the types of the configuration's keys")
    return {
        key: str(mapping(entry, "Pulumi.yaml", key, "its type").get("type", "string")) for key, entry in keys.items()
    }


def values(raw: dict[str, str], types: dict[str, str]) -> JsonObject:
    """The values of the configuration: the engine passes each as text, which is JSON for all types but strings."""
    decoded: JsonObject = {}
    for key, text in raw.items():
        if key.startswith(f"{PROJECT}:") and types.get(key, "string") != "string":
            try:
                decoded[key] = json.loads(text)
            except json.JSONDecodeError:
                raise CatalogueError(
                    [Problem("stack configuration", key, "is not valid JSON", f"type {types[key]}")]
                ) from None
        else:
            decoded[key] = text
    return decoded


def demand_known_regions(own_stack: Stack) -> None:
    """Raises CatalogueError for a region that AWS does not have, as far as boto3 knows."""
    # Of STS, which is in all of them: botocore reads a service's whole description for this, and EC2's has 3 MB
    regions = boto3.Session().get_available_regions("sts")
    configured = [("aws:region", region) for region in own_stack.regions]
    configured += [("infra:backupRegion", own_stack.backupRegion)] if own_stack.backupRegion else []
    for key, region in configured:
        if region not in regions:
            near = difflib.get_close_matches(region, regions, 3)
            rule = f"{'did you mean ' + ', '.join(near) + '?' if near else 'regions: ' + ', '.join(regions)}"
            raise CatalogueError([Problem(own_stack.file, key, f"{region!r} is not an AWS region", rule)])


def keys_present(own_stack: Stack) -> None:
    """Raises CatalogueError when `infra init` has not run for every host."""
    missing = [
        host
        for host in own_stack.ec2_hosts
        if host not in own_stack.hostPrivateKeys or host not in own_stack.hostPublicKeys
    ]
    if missing or not own_stack.sshPrivateKey or not own_stack.sshPublicKey:
        fault = f"no keys for {', '.join(missing) or 'SSH'}"
        rule = f"create them: uv run infra init --stack {own_stack.name}"
        raise CatalogueError([Problem(own_stack.file, "infra:hostPrivateKeys", fault, rule)])
