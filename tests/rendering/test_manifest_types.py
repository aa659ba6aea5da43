"""The manifests that rendering writes have the fields and types of agent/documents/manifest.py."""

import json
from dataclasses import fields

import pytest

from agent.documents import manifest as documents
from agent.store import LATER, NEEDED
from rendering import files
from rendering.archive import build
from rendering.host import render
from tests.agent.locked import release as locked
from tests.catalogue.backups import PASSWORD, with_backups
from tests.catalogue.changes import both, configured, setting
from tests.document_types import misfits
from tests.support import catalogue, whole

PARTS = [
    "EnvironmentFile", "Unit", "Choice", "Slots", "Member", "Replicas", "RequestHold", "Port", "PublishedPorts", "Health", "Probe",
    "Certificate", "Account", "Requirement", "Milestone", "Reaction", "Link", "Artefact", "Network", "Container",
    "Step", "Backup", "Environment", "OwnCertificate",
]  # fmt: skip

ROOT = "-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n"
# WatchMe with what the project's own stacks do not use
wide = both(
    with_backups,
    setting("web", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90"),
    setting("vault-api", replicas=3, replica_ports=[8091, 8092], address=None),
    lambda data: data["sites"][0].update(certificate={"chain_secret": "CHAIN", "key_secret": "KEY"}),
    setting("worker", publish=["25"], exceptions={"public-ports": "mail"}),
)
CONFIG = configured(
    backupRegion="ap-northeast-3", adminCidrs=["198.18.0.1/32"], trustedRoots=[ROOT], alarmEmails=["a@example.org"],
    secrets={"db": {"POSTGRES_PASSWORD": "x"}, "backup": {"RESTIC_PASSWORD": PASSWORD}},
)  # fmt: skip


def _written(made, host):
    """As it is read on a host."""
    return json.loads(json.dumps(build(render(made, host)).manifest))


@pytest.mark.parametrize("host", sorted(whole().stack.hosts))
def test_the_manifest_of_every_system_fits(host):
    assert list(misfits(_written(whole(), host), documents.Manifest)) == []


@pytest.mark.parametrize("made", [catalogue(), catalogue(wide, CONFIG)], ids=["prod", "wide"])
def test_the_manifest_of_a_stack_fits(made):
    assert list(misfits(_written(made, "watchme"), documents.Manifest)) == []


def test_every_manifest_part_is_covered():
    made = whole()
    manifests = [_written(catalogue(wide, CONFIG), "watchme"), *(_written(made, host) for host in made.stack.hosts)]
    empty = {
        name for name in documents.Manifest.__annotations__ if not any(manifest.get(name) for manifest in manifests)
    }
    # Registries of a host whose login a timer renews; a language, where it is not English, a zone, where it is not UTC; environments of Python;
    # mounts of a data disk, what other hosts reach, networks of a group of hosts, and what it runs together
    assert empty == {"logins", "language", "timezone", "environments", "mounts", "private", "group_networks", "spread"}


def test_the_manifest_of_a_host_with_an_environment_of_python_fits():
    assert list(misfits(json.loads(json.dumps(locked().manifest)), documents.Manifest)) == []


@pytest.mark.parametrize("name", PARTS)
def test_manifest_parts_match_the_rendered_dataclasses(name):
    written = {field.name for field in fields(getattr(files, name))}
    assert written == set(getattr(documents, name).__annotations__)


def test_a_manifest_has_the_parts_of_a_host():
    written = {field.name for field in fields(files.HostFiles)} | {"format"}
    assert written == set(documents.Manifest.__annotations__)
    assert written == NEEDED | set(LATER) | {"format", "host"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.pop("keep"), ".keep is missing"),
        (lambda manifest: manifest.update(more=1), ".more is not declared in Manifest"),
        (lambda manifest: manifest.update(memory="2g"), ".memory: '2g' is no int"),
        (lambda manifest: manifest["files"][0].update(mode=True), ".files[0].mode: True is no int"),
        (lambda manifest: manifest["units"][0].pop("name"), ".units[0].name is missing"),
        (lambda manifest: manifest.update(links={}), ".links: {} is no list"),
        (lambda manifest: manifest["probes"][0].update(url=7), ".probes[0].url: 7 is none of str | None"),
    ],
)
def test_manifest_that_misfits_its_type_is_reported(change, said):
    manifest = _written(catalogue(), "watchme")
    change(manifest)
    assert list(misfits(manifest, documents.Manifest)) == [said]
