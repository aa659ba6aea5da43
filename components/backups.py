"""Where backups are kept: a bucket in a region of its own, which no update and no removal of the stack deletes."""

import pulumi
import pulumi_aws as aws

from catalogue.stack import Stack
from components.naming import inside, tags

# Days that an object which restic deleted can still be had: also by who deleted it on a host that was broken into
DELETED = 30
UNFINISHED = 7  # days after which the parts of an upload that never ended go


class Backups(pulumi.ComponentResource):
    """The bucket and its settings, which stay when the stack is deleted."""

    def __init__(self, name: str, stack: Stack, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Backups", name, None, opts)
        if stack.backupBucket:
            # Its owner's
            self.register_outputs({"bucket": stack.backup_bucket})
            return
        retained = inside(self, retain_on_delete=True)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=stack.backup_bucket,
            tags=tags(stack, "backups", stack.backup_bucket),
            opts=retained,
        )
        aws.s3.BucketPublicAccessBlock(
            f"{name}-access",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=retained,
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versions",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=retained,
        )
        rule = aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="expire",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
            noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=DELETED
            ),
            abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=UNFINISHED
            ),
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-expiry",
            bucket=bucket.id,
            rules=[rule],
            opts=inside(self, retain_on_delete=True, depends_on=[versioning]),
        )
        self.register_outputs({"bucket": stack.backup_bucket})
