"""A Sydney that was made by hand, as the WatchMe document describes it, becomes the program's without being replaced."""

import itertools

import pytest
import yaml

from catalogue.models import System
from lab import registry
from lab.images import build_programs, write_layout
from lab.registry import tags
from tests.adopt import hosts
from tests.moves.conftest import adopt
from tests.moves.on import SYDNEY, answers, client, points_to

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
TAKEN = ["Instance", "Eip", "EipAssociation", "Repository", "Record"]


# Of every container is known what it uses now, and not what the document saw
READ_OFF = hosts.WATCHME | hosts.SAME_UNIT | {f"{container}: memory.observed" for container in hosts.containers()}


def test_machine_is_read_back_as_its_yaml(adopted):
    found = System.model_validate(yaml.safe_load(adopted.read.yaml))
    assert hosts.differences(hosts.ours("watchme"), found) == READ_OFF


def test_reading_a_machine_changes_nothing(adopted):
    """Files by their content, owner and time, containers and units by their state and since when."""
    assert len(adopted.read.before.splitlines()) > 1000
    assert adopted.read.after.splitlines() == adopted.read.before.splitlines()


def under(said: str, head: str) -> list[str]:
    lines = said.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(head)) + 1
    return [line.strip() for line in itertools.takewhile(lambda line: line.startswith("  "), lines[start:])]


MANAGER = "/home/ubuntu/watchme-api-manager/docker-compose.all.yml"


def test_reading_reports_the_changes_of_a_release(adopted):
    """Our own files, written by hand: all that differs is that the scheduler is in the manager's."""
    said = adopted.read.said
    assert under(said, "does not fit") == [
        "site api.hey-watch.me: its certificate came by standalone: a name inside infra:zone (hey-watch.me) is "
        "proved by dns-01"
    ]
    assert under(said, "would be gone") == under(said, "in the way") == under(said, "secrets") == []
    scheduler, description, waiting, images = under(said, "would have another value")
    assert (
        scheduler
        == f"{MANAGER}: services.scheduler.labels.object_systemd_unit: watchme-scheduler.service → watchme-api-manager.service"
    )
    assert description.startswith(
        "watchme-api-manager.service: [Unit] Description: API management UI → API management UI; Scheduler"
    )
    assert waiting.startswith("watchme-api-manager.service: [Service] ExecStart: ")
    # Two of 13 were built on the machine: no registry has them, and so no digest
    assert images == "11 images: named by the digest that runs now, and not by a tag; each restarts once for it"
    assert under(said, "units that would start") == ["infra-metadata.service", "infra-monitor.timer"]
    assert len(under(said, "units that would restart")) == 10
    assert under(said, "units that the release leaves alone") == []


def test_a_machine_that_was_taken_over_is_not_read_off_again(adopted):
    owner = ["--user", "ubuntu", "--identity", str(adopted.made.identity), "--yes"]
    ran = adopted.system.command("infra", "adopt", "host", adopted.made.address, "--stack", "lab", *owner)
    assert ran.code == 1 and "runs a release already: infra drift shows what was changed by hand" in ran.output


def test_adoption_lists_every_resource(adopted):
    made = adopted.made
    for line in (
        f"ap-southeast-2: {made.instance} (t4g.large) at {made.address}",
        f"{made.instance:<40} → watchme-ap-southeast-2-instance",
        f"{'watchme-web':<40} → registry-ap-southeast-2-watchme-web",
        "→ watchme-ap-southeast-2-address-use",
        "→ network-ap-southeast-2-hosts",
        "→ api.hey-watch.me",
    ):
        assert line in adopted.said
    assert adopted.said.count("→ registry-ap-southeast-2-") == 13


DIFFERENCES = [
    "its disk is not encrypted and stays so",
    "it has no role; it gets one",
    "allows requests without a token (IMDSv1): tokens will be needed",
    "launch-wizard-1 is replaced by the stack's own, which does not allow 22 from 0.0.0.0/0",
    "2 repositories are missing and will be created: watchme-api-ast, watchme-api-superb",
    "1 repositories are not in the catalogue and are not changed: watchme-old-experiment",
    "api.hey-watch.me has a TTL of 300 s, infra:recordTtl is 5",
]


@pytest.mark.parametrize("line", DIFFERENCES)
def test_adoption_lists_differences(adopted, line):
    assert line in adopted.said


@pytest.mark.parametrize("type", TAKEN)
def test_preview_after_adoption_replaces_and_deletes_nothing(adopted, type):
    """A preview names what changes; of repositories two are new."""
    ways = {step["op"] for step in adopted.steps if step["urn"].split("::")[2].endswith(f":{type}")}
    assert ways <= {"update", *({"create"} if type == "Repository" else set())}
    instance = next(step for step in adopted.steps if "-instance" in step["urn"])
    assert instance["op"] == "update"


def test_adopted_machine_is_the_existing_one_and_serves(adopted):
    system, made = adopted.system, adopted.made
    instances = [
        entry["InstanceId"]
        for group in client(system, "ec2", SYDNEY).describe_instances()["Reservations"]
        for entry in group["Instances"]
        if entry["State"]["Name"] != "terminated"
    ]
    assert instances == [made.instance]
    assert points_to(system) == SYDNEY and answers(system)
    output = system.pulumi("preview", "--expect-no-changes")
    assert output.code == 0, output.output


def test_resources_outside_the_catalogue_stay(adopted):
    names = client(adopted.system, "ecr", SYDNEY).describe_repositories()["repositories"]
    assert "watchme-old-experiment" in {entry["repositoryName"] for entry in names} and len(names) == 16


def test_taking_over_once_more_changes_nothing(adopted):
    ran = adopt(adopted.system, adopted.made)
    assert ran.code == 0 and "adopted. To see what would change" in ran.output, ran.output
    output = adopted.system.pulumi("preview", "--expect-no-changes")
    assert output.code == 0, output.output


def test_owners_key_still_works_and_the_host_key_is_the_stacks(adopted):
    """What a person could do before still works; what was written over is kept."""
    said = adopted.system.on_host("cat", "/home/ubuntu/.ssh/authorized_keys", region=SYDNEY).output
    assert len(said.splitlines()) == 2
    assert "existed before, and was overwritten" in adopted.up


def test_the_first_image_of_a_new_service_is_pushed_by_one_command(adopted):
    """AST has had no repository in Sydney before. The registry has ECR's name on this machine for the command alone."""
    system, lab = adopted.system, adopted.system.lab
    names = lab.path("hosts-file")
    names.write_text("".join(f"{address} {name}\n" for name, address in lab.host_names.items() if ".dkr." in name))
    write_layout(lab.path("built"), build_programs(), {"STUB_NAME": "ast"}, "mine")
    push = ["infra", "push", "watchme-api-ast:first", "--from", f"oci:{lab.path('built')}:mine", "--stack", "lab"]
    trusting = ["env", f"SSL_CERT_FILE={lab.path('tls', 'trust', 'ca.crt')}", *push]
    ran = system.command(
        "unshare", "--mount", "sh", "-c", f"mount --bind {names} /etc/hosts && exec {' '.join(trusting)}"
    )
    assert ran.code == 0, ran.output
    digest = tags(lab, SYDNEY, "watchme-api-ast")["first"]
    assert f"watchme-api-ast:first is in ap-southeast-2: {digest}" in ran.output
    assert registry.token(lab) not in ran.output


def test_missing_repository_is_reported_with_its_owner(adopted):
    ran = adopted.system.command(
        "infra", "push", "watchme-web:latest", "--from", "x", "--region", "ap-northeast-1", "--stack", "lab"
    )
    assert ran.code == 1 and "ap-northeast-1 has no repository watchme-web" in ran.output, ran.output
