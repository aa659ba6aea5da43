"""The bucket of backups, under Pulumi's mocks."""

import asyncio

import pulumi
from pulumi.runtime import mocks

from components.backups import Backups
from infra.preview.graph import kinds
from policy.facts import Facts, Resource
from policy.rules import tags as untagged
from tests.components.program import Mocks
from tests.policy.limits import LIMITS
from tests.support import stack


def made(**values) -> Mocks:
    found = Mocks()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(found, project="infra", stack="prod", preview=False)

    @pulumi.runtime.test
    def run():
        known = stack(lambda config: config.update({f"infra:{key}": value for key, value in values.items()}))
        Backups("backups", known)

    run()
    return found


def test_backup_bucket_is_private_versioned_and_expires_versions():
    found = made(backupRegion="ap-northeast-3")
    (bucket,) = found.of("aws:s3/bucket:Bucket")
    assert bucket.inputs["bucket"] == "prod-backups-754724220380-ap-northeast-3"
    (access,) = found.of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert {name for name, value in access.inputs.items() if value is True} == {
        "blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets",
    }  # fmt: skip
    (versions,) = found.of("aws:s3/bucketVersioning:BucketVersioning")
    assert versions.inputs["versioningConfiguration"] == {"status": "Enabled"}
    (expiry,) = found.of("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
    (rule,) = expiry.inputs["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 30}
    assert "days" not in rule["expiration"], "nothing that restic has not deleted expires"


def test_backup_bucket_is_retained_by_every_update(monkeypatch):
    kept, register = {}, mocks.MockMonitor.RegisterResource

    def noting(self, request):
        kept[request.type] = request.retainOnDelete
        return register(self, request)

    monkeypatch.setattr(mocks.MockMonitor, "RegisterResource", noting)
    made(backupRegion="ap-northeast-3")
    assert [kept[type] for type in kept if type.startswith("aws:")] == [True] * 4


def test_existing_backup_bucket_is_not_managed():
    assert not [m for m in made(backupRegion="ap-northeast-3", backupBucket="theirs").made if m.typ.startswith("aws:")]


def test_backup_bucket_passes_policy_and_preview():
    found = made(backupRegion="ap-northeast-3")
    resources = [Resource(m.typ, m.name, m.inputs) for m in found.made if m.typ.startswith("aws:")]
    assert list(untagged(Facts("prod", resources, limits=LIMITS))) == []
    assert {resource.type for resource in resources} - kinds().keys() == set()
