"""The instance metadata service (version 2 only), which knows who asks by the address."""

import datetime
import json
import secrets
from collections.abc import Callable, Iterable
from typing import Any

Identify = Callable[[str], Any]
Credentials = Callable[[Any], dict[str, str] | None]


class Metadata:
    """A WSGI app. `identify(address)` gives the asking instance, `credentials(instance)` its role's."""

    def __init__(
        self,
        identify: Identify,
        credentials: Credentials,
        role: Callable[[Any], str | None],
        public_address: Callable[[Any], str | None],
    ) -> None:
        self.identify, self.credentials, self.role, self.public_address = identify, credentials, role, public_address
        self.tokens: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        status, body = self.answer(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN"),
            environ["REMOTE_ADDR"],
        )
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body.encode())))]
        # Clients renew their token by the time it says it has left
        ttl = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", "21600")
        start(status, [*headers, ("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl)])
        return [body.encode()]

    def answer(self, method: str, path: str, token: str | None, address: str) -> tuple[str, str]:
        instance = self.identify(address)
        if instance is None:
            return "404 Not Found", ""
        if method == "PUT" and path == "/latest/api/token":
            self.tokens[new_token := secrets.token_urlsafe(24)] = instance.id
            return "200 OK", new_token
        if self.tokens.get(token or "") != instance.id:
            return "401 Unauthorized", ""
        body = self._body(path.removeprefix("/latest/").strip("/"), instance)
        return ("200 OK", body) if body is not None else ("404 Not Found", "")

    def _body(self, path: str, instance: Any) -> str | None:
        role = self.role(instance)
        credentials = "meta-data/iam/security-credentials"
        if path == credentials:
            return role
        if role and path == f"{credentials}/{role}":
            return self._credentials(instance)
        return {
            "meta-data/instance-id": instance.id,
            "meta-data/public-ipv4": self.public_address(instance),
            "meta-data/placement/region": instance.region_name,
            "meta-data/placement/availability-zone": instance.placement,
            "dynamic/instance-identity/document": json.dumps(
                {"instanceId": instance.id, "region": instance.region_name}
            ),
        }.get(path)

    def _credentials(self, instance: Any) -> str | None:
        keys = self.credentials(instance)
        if keys is None:
            return None
        now = datetime.datetime.now(datetime.UTC)
        stamp = "%Y-%m-%dT%H:%M:%SZ"
        times = {"LastUpdated": now.strftime(stamp), "Expiration": (now + datetime.timedelta(hours=6)).strftime(stamp)}
        return json.dumps({"Code": "Success", "Type": "AWS-HMAC", **times, **keys})
