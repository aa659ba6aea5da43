"""What is asked of AWS before a move, against the emulator."""

import json

import boto3
import pytest

from infra.errors import InfraError
from infra.move import facts
from tests.support import catalogue, emulated_aws

MEDIA = "application/vnd.docker.distribution.manifest.v2+json"
OLD, NEW = "ap-northeast-1", "ap-southeast-2"
MANIFEST = json.dumps(
    {"schemaVersion": 2, "layers": [], "mediaType": MEDIA, "config": {"digest": "sha256:0", "size": 1}}
)


@pytest.fixture
def cloud(monkeypatch):
    # Neither is AWS's: they would go to the network
    monkeypatch.setattr(facts, "_answers", lambda url: None)
    monkeypatch.setattr(facts, "_latency", lambda endpoint: 12.0 if OLD in endpoint else 140.0)
    monkeypatch.setattr(facts, "monthly", lambda stack, region: facts.Cost(66.0, "a test"))
    monkeypatch.setattr(facts.ttl_history, "of_stack", lambda stack: None)
    monkeypatch.setattr(facts.ttl_history, "repositories", lambda stack, region: {"watchme-web"})
    with emulated_aws(monkeypatch):
        yield


def pushed(region, repository):
    ecr = boto3.client("ecr", region_name=region)
    ecr.create_repository(repositoryName=repository)
    ecr.put_image(repositoryName=repository, imageManifest=MANIFEST, imageTag="latest")


def test_existing_images_and_resources_are_reported(cloud):
    pushed(OLD, "watchme-api-ast")
    pushed(NEW, "watchme-web")
    ec2 = boto3.client("ec2", region_name=NEW)
    ec2.allocate_address(Domain="vpc")
    route53 = boto3.client("route53")
    zone = route53.create_hosted_zone(Name="hey-watch.me", CallerReference="1")["HostedZone"]["Id"]
    record = {"Name": "api.hey-watch.me", "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": "127.0.0.1"}]}
    change = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)

    found = facts.gather(catalogue(), NEW)
    assert found.here == {"watchme-api-ast:latest"} and found.there == {"watchme-web:latest"}
    assert (
        found.repositories == found.own_repositories == {"watchme-web"}
        and found.addresses_used == 1
        and found.vcpus_used == 0
    )
    assert "t4g.large" in found.offered and found.enabled is not False
    assert found.ttls == {"api.hey-watch.me": 300} and found.latency == {OLD: 12.0, NEW: 140.0}


def test_unknown_region_is_refused_with_the_known_ones(cloud):
    with pytest.raises(InfraError, match=r"AWS has no region ap-atlantis-1; regions: .*ap-northeast-1"):
        facts.gather(catalogue(), "ap-atlantis-1")


def test_without_a_zone_there_are_no_records(cloud):
    assert facts.gather(catalogue(), NEW).ttls == {}
