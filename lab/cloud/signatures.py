"""Who signed a request: the emulator answers none whose signature was not made with the secret of a key it gave out.

moto computes Route 53's signatures wrongly, so that the request as it came is signed here once more, by AWS's own SDK.
"""

import hashlib
import hmac
import re
from typing import Any

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from moto.iam.access_control import CreateAccessKeyFailure, create_access_key

from lab.settings import ACCOUNT

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/\d{8}/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<headers>[\w;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
# Headers that WSGI has under names of its own
UNPREFIXED = ("content-type", "content-length")
# Without these signed, a request could be sent again elsewhere or at any time
NEEDED = {"host", "x-amz-date"}
REFUSED = "SignatureDoesNotMatch"


def refusal(environ: dict[str, Any], body: bytes) -> str:
    """AWS's reason to refuse a request; "" where its signature is that of its key. What its key may do, moto judges."""
    parts = AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    if parts is None:
        return "MissingAuthenticationToken"
    names = parts["headers"].split(";")
    if not NEEDED.issubset(names):
        return REFUSED
    headers = {name: _header(environ, name) for name in names}
    if token := _header(environ, "x-amz-security-token"):
        headers["x-amz-security-token"] = token
    try:
        tokens = {"X-Amz-Security-Token": token} if token else {}
        credentials = create_access_key(ACCOUNT, "aws", parts["key"], tokens).create_credentials()
    except CreateAccessKeyFailure:
        return "InvalidClientTokenId"
    signed = AWSRequest(environ["REQUEST_METHOD"], f"http://{headers['host']}{environ['RAW_URI']}", headers, body)
    signed.context["timestamp"] = headers["x-amz-date"]
    declared_hash = _header(environ, "x-amz-content-sha256") if parts["service"] == "s3" else "UNSIGNED-PAYLOAD"
    # A body that comes in signed pieces, which S3 knows too, nothing here sends
    if declared_hash not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
        return REFUSED
    # S3 takes a path as it is written
    kind = S3SigV4Auth if parts["service"] == "s3" else SigV4Auth
    signer = kind(credentials, parts["service"], parts["region"])
    signature = signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
    return "" if hmac.compare_digest(signature, parts["signature"]) else REFUSED


def _header(environ: dict[str, Any], name: str) -> str:
    key = name.upper().replace("-", "_")
    return environ.get(key if name in UNPREFIXED else f"HTTP_{key}", "")
