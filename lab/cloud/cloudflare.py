"""A small stand-in for Cloudflare's API of zones and records (test equipment): as strict as the real one about tokens,
records and what may be beside what, by its documentation (https://developers.cloudflare.com/api/)."""

import json
import re
import secrets
import threading
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from infra.writing import put

HOST, PREFIX = "api.cloudflare.com", "/client/v4"
MOST_COMMENT, SHORTEST, LONGEST, AUTOMATIC = 100, 60, 86400, 1
ADDRESSED = {"A", "AAAA", "CNAME"}
IS_THERE = 81058  # 81057 in some places of the real one
SERVERS = ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]
Entry = dict[str, Any]


class Refusal(Exception):
    """The error that the API answers instead of a result."""

    def __init__(self, status: int, code: int, message: str, after: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.after = status, code, after


class Cloudflare:
    """As a WSGI app. Its zones and the tokens for them are made when it starts; `file` gets the tokens, for the lab's
    owner alone: {operator, hosts}. What it refuses on purpose stands in a file beside it: {"fail": STATUS, "times":
    N}."""

    def __init__(self, zones: Iterable[str], file: Path) -> None:
        self.zones = {secrets.token_hex(16): zone for zone in zones}
        self.tokens = {name: secrets.token_urlsafe(30) for name in ("operator", "hosts")}
        self.entries: dict[str, Entry] = {}
        self.lock = threading.Lock()
        self.faults = file.with_name("cloudflare-faults.json")
        put(file, json.dumps(self.tokens), 0o600)

    def is_asked(self, environ: dict[str, Any]) -> bool:
        return environ.get("PATH_INFO", "").startswith(f"{PREFIX}/")

    def records(self) -> list[Entry]:
        """Every record, as Route 53 lists them."""
        sets: dict[tuple[str, str], Entry] = {}
        with self.lock:
            for entry in self.entries.values():
                ttl = 300 if entry["ttl"] == AUTOMATIC else entry["ttl"]
                record = sets.setdefault(
                    (entry["name"], entry["type"]),
                    {"Name": entry["name"], "Type": entry["type"], "TTL": ttl, "ResourceRecords": []},
                )
                record["ResourceRecords"].append({"Value": _zone_file_value(entry)})
        return list(sets.values())

    def instead_of(self, others: list[Entry]) -> list[Entry]:
        """The records that DNS answers: for a name of these zones only those that are here."""
        own = self.records()
        own_keys = {(record["Name"].rstrip("."), record["Type"]) for record in own}
        return own + [record for record in others if (record["Name"].rstrip("."), record["Type"]) not in own_keys]

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        request, after = Request(environ), ""
        try:
            self._fail_on_purpose()
            with self.lock:
                result = self._respond(request, self._authenticate(request))
            status, body = 200, {"success": True, "errors": [], "messages": [], "result": result}
        except Refusal as refusal:
            status, after = refusal.status, refusal.after
            errors = [{"code": refusal.code, "message": str(refusal)}]
            body = {"success": False, "errors": errors, "messages": [], "result": None}
        answer = Response(json.dumps(body), status, content_type="application/json")
        if after:
            answer.headers["Retry-After"] = after
        return answer(environ, start)

    def _fail_on_purpose(self) -> None:
        if not self.faults.exists():
            return
        fault = json.loads(self.faults.read_text())
        if fault["times"] > 1:
            put(self.faults, json.dumps({**fault, "times": fault["times"] - 1}))
        else:
            self.faults.unlink()
        raise Refusal(fault["fail"], 0, "the lab fails on purpose", fault.get("after", ""))

    def _authenticate(self, request: Request) -> str:
        authorization = request.headers.get("Authorization", "")
        if not authorization.startswith("Bearer ") or not authorization[7:].strip():
            raise Refusal(400, 6003, "Invalid request headers")
        for name, token in self.tokens.items():
            if secrets.compare_digest(token.encode(), authorization[7:].encode()):
                return name
        raise Refusal(403, 9109, "Invalid access token")

    def _respond(self, request: Request, _: str) -> Any:
        parts = request.path.removeprefix(PREFIX).strip("/").split("/")
        if parts == ["zones"] and request.method == "GET":
            name_filter = request.args.get("name")
            return [
                {"id": id, "name": zone, "status": "active", "name_servers": SERVERS}
                for id, zone in self.zones.items()
                if name_filter in (None, zone)
            ]
        if len(parts) < 3 or parts[0] != "zones" or parts[2] != "dns_records":
            raise Refusal(404, 7003, f"Could not route to {request.path}")
        zone = self.zones.get(parts[1])
        if zone is None:
            raise Refusal(404, 7003, f"Could not route to {request.path}, perhaps your object identifier is invalid?")
        if len(parts) == 3 and request.method == "GET":
            return self._list_records(zone, request)
        if len(parts) == 3 and request.method == "POST":
            return self._put(zone, secrets.token_hex(16), {}, _body(request))
        id = parts[3] if len(parts) == 4 else ""
        if id not in self.entries or self.entries[id]["zone_name"] != zone:
            raise Refusal(404, 81044, "Record does not exist.")
        if request.method == "DELETE":
            return {"id": self.entries.pop(id)["id"]}
        if request.method == "PATCH":
            return self._put(zone, id, self.entries[id], _body(request))
        raise Refusal(405, 7001, "Method not allowed")

    def _list_records(self, zone: str, request: Request) -> list[Entry]:
        name, kind = request.args.get("name"), request.args.get("type")
        matching = [
            entry
            for entry in self.entries.values()
            if entry["zone_name"] == zone and name in (None, entry["name"]) and kind in (None, entry["type"])
        ]
        page, size = int(request.args.get("page", 1)), int(request.args.get("per_page", 100))
        return matching[(page - 1) * size : page * size]

    def _put(self, zone: str, id: str, before: Entry, changes: Entry) -> Entry:
        entry = {"proxied": False, "comment": None, "ttl": AUTOMATIC, **before, **changes, "id": id, "zone_name": zone}
        _validate(entry, zone)
        if entry["type"] == "TXT" and not entry["content"].startswith('"'):
            entry["content"] = f'"{entry["content"]}"'
        for other in self.entries.values():
            if other["id"] == id or other["name"] != entry["name"]:
                continue
            if other["type"] == entry["type"] and _zone_file_value(other) == _zone_file_value(entry):
                raise Refusal(400, IS_THERE, "An identical record already exists.")
            kinds = {other["type"], entry["type"]}
            if "CNAME" in kinds and entry["type"] != "CNAME":
                raise Refusal(400, 81054, "A CNAME record with that host already exists.")
            if "CNAME" in kinds:
                raise Refusal(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
        self.entries[id] = entry
        return entry


def _body(request: Request) -> Entry:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Refusal(400, 9207, "Request body is invalid.")
    return body


def _validate(entry: Entry, zone: str) -> None:
    """Raises Refusal."""
    name, kind, ttl = str(entry.get("name", "")), entry.get("type"), entry["ttl"]
    if name != zone and not name.endswith(f".{zone}"):
        raise Refusal(400, 9000, "DNS name is invalid.")
    if ttl != AUTOMATIC and not (isinstance(ttl, int) and SHORTEST <= ttl <= LONGEST):
        raise Refusal(400, 9021, f"TTL must be between {SHORTEST} and {LONGEST} seconds, or 1 for Automatic.")
    if len(entry.get("comment") or "") > MOST_COMMENT:
        raise Refusal(400, 9300, f"DNS record comment is longer than {MOST_COMMENT} characters.")
    if entry["proxied"] and (kind not in ADDRESSED or ttl != AUTOMATIC):
        raise Refusal(400, 9004, "This record type cannot be proxied, or its TTL is not automatic.")
    content, data = entry.get("content"), entry.get("data")
    if kind in ("CAA", "SRV"):
        fields = {"CAA": {"flags", "tag", "value"}, "SRV": {"priority", "weight", "port", "target"}}[kind]
        if not isinstance(data, dict) or set(data) != fields:
            raise Refusal(400, 9101, f"{kind} needs data: {', '.join(sorted(fields))}")
        entry["content"] = _zone_file_value(entry)
        return
    if not isinstance(content, str) or not content:
        raise Refusal(400, 9005, f"Content for {kind} record is missing.")
    if kind in ("A", "AAAA"):
        try:
            entry["content"] = str((IPv4Address if kind == "A" else IPv6Address)(content))
        except ValueError:
            raise Refusal(400, 9005, f"Content for {kind} record must be a valid address.") from None
    elif kind == "MX" and not isinstance(entry.get("priority"), int):
        raise Refusal(400, 9100, "priority is a required field.")
    elif kind == "TXT" and content.startswith('"') and not re.fullmatch(r'("(\\.|[^"\\])*" ?)+', content):
        raise Refusal(400, 9207, "Content for TXT record is invalid.")
    elif kind not in ("A", "AAAA", "CNAME", "MX", "TXT", "NS"):
        raise Refusal(400, 9004, f"record type {kind!r} is not known here")


def _zone_file_value(entry: Entry) -> str:
    """A record's value as a zone file has it."""
    kind, data = entry["type"], entry.get("data") or {}
    if kind == "CAA":
        return f'{data["flags"]} {data["tag"]} "{data["value"]}"'
    if kind == "SRV":
        return f"{data['priority']} {data['weight']} {data['port']} {data['target']}."
    if kind == "MX":
        return f"{entry['priority']} {entry['content']}."
    return f"{entry['content']}." if kind in ("CNAME", "NS") else str(entry["content"])
