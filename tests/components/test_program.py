"""The whole program under Pulumi's mocks: what it asks for, and in which order."""

import base64
import json
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from agent.archive import members
from catalogue import loading
from catalogue.models import System
from components.network import openings
from components.permissions import policy
from rendering.images import lifecycle
from tests.components.program import DESKTOP, Mocks, opened, run_program
from tests.support import HOME, LAB, PROD, ROOT, whole


@pytest.fixture(scope="module")
def made(request) -> Mocks:
    import os

    here = os.getcwd()
    os.chdir(ROOT)
    request.addfinalizer(lambda: os.chdir(here))
    return run_program()


def one(made: Mocks, type: str) -> dict[str, Any]:
    (resource,) = made.of(type)
    return resource.inputs


def test_instance_matches_the_document(made):
    instance = one(made, "aws:ec2/instance:Instance")
    assert instance["instanceType"] == "t4g.large"
    root = instance["rootBlockDevice"]
    assert (root["volumeSize"], root["volumeType"], root["encrypted"]) == (30, "gp3", True)
    assert "PRIVATE-HOST-KEY" in opened(instance["userData"])
    metadata = instance["metadataOptions"]
    assert (metadata["httpTokens"], metadata["httpPutResponseHopLimit"]) == ("required", 1)


def test_fifteen_repositories_scanned_encrypted_and_cleaned(made):
    repositories = made.of("aws:ecr/repository:Repository")
    assert len(repositories) == len({resource.inputs["name"] for resource in repositories}) == 15
    for resource in repositories:
        assert resource.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert resource.inputs["forceDelete"] is True
        assert resource.inputs["encryptionConfigurations"] == [{"encryptionType": "AES256"}]
    policies = made.of("aws:ecr/lifecyclePolicy:LifecyclePolicy")
    assert [resource.inputs["policy"] for resource in policies] == [lifecycle()] * 15


def test_every_regional_name_holds_the_region_and_the_dns_name_does_not(made):
    for resource in made.made:
        if resource.typ == "aws:route53/record:Record" or resource.typ == "infra:index:PublicName":
            assert resource.name == "api.hey-watch.me"
        elif resource.typ == "aws:budgets/budget:Budget":
            assert resource.name == "credits"
        elif resource.typ.startswith(("aws:", "infra:", "command:")):
            assert "ap-northeast-1" in resource.name or resource.name == "aws-everywhere", resource.name


UNTAGGABLE = {
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/eipAssociation:EipAssociation",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    "aws:route53/record:Record",
    "aws:sns/topicSubscription:TopicSubscription",
}


def test_everything_taggable_is_tagged(made):
    for resource in made.made:
        if resource.typ.startswith("aws:") and resource.typ not in UNTAGGABLE:
            assert {"project", "stack", "system"} <= set(resource.inputs["tags"]), resource.name


def test_the_record_is_the_hosts_address_with_a_short_life(made):
    record = one(made, "aws:route53/record:Record")
    assert (record["type"], record["ttl"], record["records"]) == ("A", 60, ["127.71.0.2"])


def test_host_key_is_pinned_before_the_first_connection(made):
    target = {
        "host": "watchme", "address": "127.71.0.2", "port": 22, "user": "ubuntu",
        "host_key": "ssh-ed25519 BBBB host", "private_key": "PRIVATE-USER-KEY",
    }  # fmt: skip
    assert sent(made)["target"] == target and sent(made, "ready")["target"] == target


def test_gate_is_a_local_command_with_its_own_limit(made):
    gate, request = command(made, "ready"), sent(made, "ready")
    assert gate["create"] == "exec .venv/bin/python -m infra.ready"
    assert gate["triggers"] == ["watchme-ap-northeast-1-instance-id"] and request["limit"] == 900
    assert request["arguments"][:2] == ["2048", "docker"] and "prepare-host" in request["script"]
    assert request["first"].startswith("cloud-init status --wait") and not made.of("command:remote:Command")


def command(made: Mocks, step: str) -> dict[str, Any]:
    """The inputs of the only command of this step: `ready`, `apply`."""
    (inputs,) = [r.inputs for r in made.of("command:local:Command") if f"-{r.name}".endswith(f"-{step}")]
    return inputs


def sent(made: Mocks, step: str = "apply") -> dict[str, Any]:
    """What a command reads: the release's, or the one of another step."""
    return json.loads(opened(command(made, step)["stdin"]))


def test_each_host_gets_one_archive_and_one_command(made):
    apply, payload = command(made, "apply"), sent(made)
    assert apply["triggers"] == ["watchme-ap-northeast-1-instance-id"]
    assert apply["create"] == "exec .venv/bin/python -m infra.deliver"
    assert payload["confirm"] == 60
    # The command on the next machine is the same: nothing of this one is in it
    assert set(payload) == {"target", "release", "receive", "archive", "secrets", "confirm", "roots", "images", "owner"}


def test_every_image_is_pinned_to_its_digest(made):
    manifest = json.loads(members(base64.b64decode(sent(made)["archive"]))["manifest.json"])
    images = [image for unit in manifest["units"] for image in unit["images"]]
    assert len(images) == 13 and all("@sha256:" in image for image in images)
    assert sent(made)["images"] == sorted(images) and sent(made)["owner"] == "infra-prod.watchme"


def test_only_ssh_is_narrow():
    found = [(opening.first, opening.last, opening.cidr) for opening in openings(whole())]
    assert found == [(80, 80, "0.0.0.0/0"), (443, 443, "0.0.0.0/0"), (22, 22, "127.0.0.0/8")]


def test_host_role_has_only_the_documented_rights():
    statements = policy(["arn:repo"], {"arn:zone": ["_acme-challenge.api.hey-watch.me"]}, namespace="infra/prod")[
        "Statement"
    ]
    by_action = {str(statement["Action"]): statement for statement in statements}
    change = by_action["route53:ChangeResourceRecordSets"]
    assert change["Resource"] == "arn:zone"
    assert change["Condition"]["ForAllValues:StringEquals"] == {
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.api.hey-watch.me"],
        "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"],
    }
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    assert by_action[str(pull)]["Resource"] == ["arn:repo"]
    anywhere = {action for statement in statements if statement["Resource"] == "*" for action in _actions(statement)}
    publishing = by_action["cloudwatch:PutMetricData"]
    assert publishing["Condition"] == {"StringEquals": {"cloudwatch:namespace": "infra/prod"}}
    assert anywhere - {"cloudwatch:PutMetricData"} == {
        "ecr:GetAuthorizationToken", "route53:ListHostedZones", "route53:GetChange",
    }  # fmt: skip
    assert not any("*" in action for statement in statements for action in _actions(statement))


SHOP = {
    "system": "shop", "document": "none",
    "network": {"name": "shop", "subnet": "172.28.0.0/16", "gateway": "172.28.0.1", "unit": "shop-network.service"},
    "sites": [{"name": "shop.hey-watch.me", "challenge": "dns-01"}],
    "services": [{
        "name": "shop", "kind": "compose", "purpose": "sells", "role": "api", "image": {"repository": "shop-web", "tag": "latest"},
        "container": "shop", "port": 8050, "address": "172.28.0.10", "routes": [{"public": "/"}], "memory": {"limit": "1g"},
        "directory": "/srv/shop", "unit": "shop.service",
    }],
}  # fmt: skip


def test_host_may_pull_only_the_images_of_its_systems(monkeypatch):
    monkeypatch.chdir(ROOT)
    real = loading.load

    def with_shop(root, stack):
        known = real(root, stack)
        return replace(known, systems={**known.systems, "shop": System.model_validate(SHOP)})

    monkeypatch.setattr(loading, "load", with_shop)
    shop = {**PROD["infra:hosts"]["watchme"], "systems": ["shop"]}
    hosts = {**PROD["infra:hosts"], "shop": shop}
    keys = {
        "infra:hostPublicKeys": dict.fromkeys(hosts, "ssh-ed25519 AAAA"),
        "infra:hostPrivateKeys": dict.fromkeys(hosts, "K"),
    }
    made = run_program({"infra:hosts": hosts, **keys})
    pulled = {}
    for resource in made.of("aws:iam/rolePolicy:RolePolicy"):
        statements = json.loads(resource.inputs["policy"])["Statement"]
        (pull,) = [statement for statement in statements if "ecr:BatchGetImage" in statement["Action"]]
        pulled[resource.name.split("-")[0]] = {arn.rpartition("-registry-")[2] or arn for arn in pull["Resource"]}
    assert len(pulled["shop"]) == 1 and len(pulled["watchme"]) == 15
    assert all("shop-web" in arn for arn in pulled["shop"]) and not any("shop-web" in arn for arn in pulled["watchme"])


def _actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def test_a_host_without_images_or_sites_has_no_rights():
    assert policy([], {})["Statement"] == []


def test_stack_with_shared_repositories_creates_none_and_may_pull(monkeypatch):
    monkeypatch.chdir(ROOT)
    shared = run_program({"infra:sharedRepositories": True})
    assert not shared.of("aws:ecr/repository:Repository")
    document = json.loads(one(shared, "aws:iam/rolePolicy:RolePolicy")["policy"])
    pull = next(statement for statement in document["Statement"] if "ecr:BatchGetImage" in statement["Action"])
    assert len(pull["Resource"]) == 15
    assert "arn:aws:ecr:ap-northeast-1:754724220380:repository/watchme-web" in pull["Resource"]


def test_existing_machine_gets_a_release_and_no_resources(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program({"infra:hosts": {"desktop": DESKTOP}})
    assert not any(resource.typ.startswith("aws:ec2") for resource in made.made)
    target = sent(made)["target"]
    assert (target["address"], target["port"], target["user"]) == ("192.168.1.20", 2222, "owner")
    assert target["host_key"] == "ssh-ed25519 CCCC"
    ready = sent(made, "ready")
    assert (ready["target"], ready["first"]) == (target, "")
    assert ready["arguments"][:5] == ["0", "docker", "skopeo", "nginx", "certbot"]
    # It stays where it is when the region changes, so no name of it holds one
    assert {run.name for run in made.of("command:local:Command")} == {"desktop-ready", "desktop-release-apply"}
    record = one(made, "aws:route53/record:Record")
    assert record["records"] == ["192.168.1.20"]


def test_a_machine_without_a_role_has_a_user_whose_key_only_the_release_carries(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program({"infra:hosts": {"desktop": DESKTOP}})
    assert sent(made)["secrets"]["@aws"] == {
        "aws_access_key_id": "desktop-permissions-key-id",
        "aws_secret_access_key": "SECRET-ACCESS-KEY",
    }
    manifest = json.loads(members(base64.b64decode(sent(made)["archive"]))["manifest.json"])
    (credentials,) = manifest["environment_files"]
    assert (credentials["path"], credentials["mode"], credentials["head"]) == (
        "/root/.aws/credentials",
        0o600,
        "[default]",
    )
    assert "SECRET-ACCESS-KEY" not in json.dumps(manifest)
    statements = json.loads(one(made, "aws:iam/userPolicy:UserPolicy")["policy"])["Statement"]
    assert not any("*" in action for statement in statements for action in _actions(statement))


def test_host_gets_rights_and_names_only_for_its_systems(monkeypatch):
    """A native system pulls its own artefacts, an existing machine with a user's key; a foreign name has no record."""
    monkeypatch.chdir(ROOT)
    keys = {
        "infra:hostPublicKeys": {"services": "ssh-ed25519 BBBB host"},
        "infra:hostPrivateKeys": {"services": "PRIVATE-HOST-KEY"},
    }
    hosts = {"services": LAB["infra:hosts"]["services"], "home": HOME}
    made = run_program({**keys, "infra:hosts": hosts})
    assert {record.name for record in made.of("aws:route53/record:Record")} == {"whisper.hey-watch.me"}
    own = {
        "aws:iam/rolePolicy:RolePolicy": {"whisper-backend", "whisper-models", "recall-api"},
        "aws:iam/userPolicy:UserPolicy": {"totton-audio", "vocoder"},
    }
    repositories = {made.inputs["name"] for made in made.of("aws:ecr/repository:Repository")}
    assert repositories == {name for names in own.values() for name in names}
    for kind, names in own.items():
        statements = json.loads(one(made, kind)["policy"])["Statement"]
        (pulls,) = [statement for statement in statements if "ecr:BatchGetImage" in _actions(statement)]
        assert {*pulls["Resource"]} == {f"arn:registry-ap-northeast-1-{name}" for name in names}
    assert sent(made, "services-ap-northeast-1-ready")["arguments"] == [
        "2048", "skopeo", "nginx", "certbot", "python3-certbot-dns-route53", "logrotate", "rsync",
    ]  # fmt: skip
    assert sent(made, "home-ready")["arguments"] == ["0", "skopeo", "libpam-systemd"]


REFUSED = {
    "unknown key": ({"infra:colour": "red"}, "infra:colour: unknown field 'colour'"),
    "the world": ({"infra:adminCidrs": ["0.0.0.0/0"]}, "0.0.0.0/0 is all of the internet"),
    "no keys": ({"infra:sshPrivateKey": ""}, "uv run infra init --stack prod"),
    "no host key": ({"infra:hostPrivateKeys": {}}, "no keys for watchme"),
    "misspelt in an SSH host": (
        {"infra:hosts": {"desktop": {**DESKTOP, "hostkey": "x"}}},
        "infra:hosts.desktop.hostkey: unknown field 'hostkey'; did you mean 'hostKey'?",
    ),
    "no pinned key": (
        {"infra:hosts": {"desktop": {**DESKTOP, "hostKey": "trust me"}}},
        "infra:hosts.desktop.hostKey: found 'trust me'",
    ),
    "no such kind": ({"infra:hosts": {"desktop": {**DESKTOP, "kind": "vm"}}}, "kind 'vm'; kinds: ec2, ssh"),
}


@pytest.mark.parametrize(("values", "line"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_made(values, line, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(pulumi.RunError) as error:
        run_program(values)
    assert line in str(error.value) and "nothing was touched" in str(error.value)


def test_empty_secret_group_is_accepted_in_plain_text(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("tests.components.program.SECRET", ["infra:sshPrivateKey", "infra:hostPrivateKeys"])
    assert run_program({"infra:secrets": {"web": {}}}).made


def test_a_secret_in_plain_text_is_refused(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("tests.components.program.SECRET", [])
    with pytest.raises(pulumi.RunError) as error:
        run_program()
    assert "infra:sshPrivateKey: is in plain text" in str(error.value)
    assert "PRIVATE-USER-KEY" not in str(error.value)


def test_an_update_that_was_approved_runs_the_images_that_were(monkeypatch):
    """Whatever is under their tags by now; what was not approved by name is as the registry says."""
    approved = f"sha256:{'a' * 64}"
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("INFRA_APPROVED_IMAGES", json.dumps({"watchme-web:latest": approved}))
    applies = [r for r in run_program().of("command:local:Command") if r.name.endswith("-release-apply")]
    manifest = json.loads(
        members(base64.b64decode(json.loads(opened(applies[0].inputs["stdin"]))["archive"]))["manifest.json"]
    )
    images = dict(image.split("/", 1)[1].split("@") for unit in manifest["units"] for image in unit["images"])
    assert images["watchme-web"] == approved and len(images) == 13 and set(images.values()) != {approved}
