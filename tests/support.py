"""Catalogues for tests: the project's own, with what a test changes."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from catalogue.loading import Catalogue, load
from catalogue.models import System
from catalogue.stack import Stack, stack_from
from catalogue.variants import chosen

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
WATCHME: dict[str, Any] = yaml.safe_load((ROOT / "files/systems/watchme.yaml").read_text())
PROD: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
Change = Callable[[Any], None]


def unchanged(_: Any) -> None:
    pass


def stack(change: Change = unchanged, name: str = "prod") -> Stack:
    values = copy.deepcopy(PROD)
    change(values)
    return stack_from(name, values, f"Pulumi.{name}.yaml")


def catalogue(system: Change = unchanged, config: Change = unchanged) -> Catalogue:
    """WatchMe on stack prod; `system` and `config` change the YAML's values before they are read."""
    data = copy.deepcopy(WATCHME)
    system(data)
    return Catalogue(stack(config), {"watchme": System.model_validate(data)})


LAB: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.lab.yaml").read_text())["config"]
# The machine that stands for the owners' own, as an administrator would write it down
HOME = {
    "kind": "ssh", "address": "192.0.2.7", "user": "admin", "hostKey": "ssh-ed25519 AAAA", "memory": "16g",
    "systems": ["totton", "vocoder"],
}  # fmt: skip


def whole(config: Change = unchanged) -> Catalogue:
    """All five systems on their three kinds of hosts: stack lab with a machine of the owners' own."""
    values = copy.deepcopy(LAB)
    values["infra:hosts"]["home"] = copy.deepcopy(HOME)
    config(values)
    return load(ROOT, stack_from("lab", values, "Pulumi.lab.yaml"))


def changed(made: Catalogue, name: str, change: Change) -> Catalogue:
    """The same with one system's YAML changed; of a system with variants its first."""
    data = chosen(yaml.safe_load((ROOT / f"files/systems/{name}.yaml").read_text()), made.stack.variants.get(name))
    change(data)
    return replace(made, systems=made.systems | {name: System.model_validate(data)})


def digests(system: Change = unchanged, version: int = 1) -> dict[str, str]:
    """What a registry with every image of the catalogue would say."""
    images = [entry.image for entry in catalogue(system).systems["watchme"].compose_services]
    names = [f"{image.repository}{image.suffix}" for image in images]
    return {name: f"sha256:{hashlib.sha256(f'{name} {version}'.encode()).hexdigest()}" for name in names}


def emulated_aws(monkeypatch: Any) -> Any:
    """moto in this process, whatever AWS the surroundings name: a context."""
    from moto import mock_aws

    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    return mock_aws()


def service(data: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in data["services"] if entry["name"] == name)
