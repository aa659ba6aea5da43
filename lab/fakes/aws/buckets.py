"""S3: buckets and their settings."""

from typing import Any

from botocore.exceptions import ClientError

from lab.fakes.aws.cloud import ensure_gone, error_code, is_gone, refusals, tag_list
from lab.fakes.plugin import Call, Kind, Values


def _bucket(call: Call, values: Values) -> tuple[str, Values]:
    name, s3 = values["bucket"], call.cloud.client("s3")
    with refusals(f"creating S3 Bucket ({name})"):
        where = {} if call.cloud.region == "us-east-1" else {"LocationConstraint": call.cloud.region}
        s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(values.get("tags"))})
    return name, {"arn": f"arn:aws:s3:::{name}", "region": call.cloud.region}


def _read_bucket(call: Call, id: str, state: Values) -> Values | None:
    try:
        call.cloud.client("s3").head_bucket(Bucket=id)
    except ClientError as error:
        if is_gone(error) or error_code(error) == "404":
            return None
        raise
    return {"arn": f"arn:aws:s3:::{id}", "region": call.cloud.region}


def _versioning(call: Call, values: Values) -> tuple[str, Values]:
    configuration = values["versioningConfiguration"]
    with refusals(f"writing versioning of {values['bucket']}"):
        call.cloud.client("s3").put_bucket_versioning(
            Bucket=values["bucket"], VersioningConfiguration={"Status": configuration["status"]}
        )
    return values["bucket"], {}


ACCESS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _access(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"writing public access of {values['bucket']}"):
        call.cloud.client("s3").put_public_access_block(
            Bucket=values["bucket"],
            PublicAccessBlockConfiguration={_capital(name): bool(values.get(name)) for name in ACCESS},
        )
    return values["bucket"], {}


def _rule(rule: Values) -> dict[str, Any]:
    """One of the rules that the program writes; the real plugin knows many more."""
    return {
        "ID": rule["id"],
        "Status": rule["status"],
        "Filter": {"Prefix": rule["filter"]["prefix"]},
        "NoncurrentVersionExpiration": {"NoncurrentDays": rule["noncurrentVersionExpiration"]["noncurrentDays"]},
        "AbortIncompleteMultipartUpload": {
            "DaysAfterInitiation": rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"]
        },
        "Expiration": {"ExpiredObjectDeleteMarker": rule["expiration"]["expiredObjectDeleteMarker"]},
    }


def _lifecycle(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"writing lifecycle of {values['bucket']}"):
        call.cloud.client("s3").put_bucket_lifecycle_configuration(
            Bucket=values["bucket"], LifecycleConfiguration={"Rules": [_rule(rule) for rule in values["rules"]]}
        )
    return values["bucket"], {}


KINDS = {
    "aws:s3/bucket:Bucket": Kind(
        {"bucket": "replace", "tags": "refuse"}, set(), ["arn", "region"], _bucket,
        delete=lambda call, id, _: ensure_gone("deleting bucket", call.cloud.client("s3").delete_bucket, Bucket=id),
        read=_read_bucket,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Kind(
        {"bucket": "replace", "versioningConfiguration": "update"}, {"bucket"}, [], _versioning,
        update=lambda call, id, old, new: _versioning(call, new)[1],
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Kind(
        {"bucket": "replace", **dict.fromkeys(ACCESS, "update")}, {"bucket"}, [], _access,
        update=lambda call, id, old, new: _access(call, new)[1],
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Kind(
        {"bucket": "replace", "rules": "update"}, {"bucket"}, [], _lifecycle,
        update=lambda call, id, old, new: _lifecycle(call, new)[1],
    ),
}  # fmt: skip
