"""Cloudflare's API, as far as records of a zone go: https://developers.cloudflare.com/api/resources/dns/."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from catalogue.records import plain_text, quoted_text
from catalogue.stack import API_TOKEN, DNS
from infra.errors import InfraError

# As Cloudflare's own clients call it
BASE = "CLOUDFLARE_BASE_URL"
DEFAULT = "https://api.cloudflare.com/client/v4"
PATIENCE = 20  # seconds for an answer
RETRY = Retry(
    total=5, backoff_factor=1, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=None, raise_on_status=False
)
PAGE = 100
IS_THERE = 81058  # an identical record already exists
REFUSED = {6003, 6111, 9106, 9109, 10000, 10001}
# Of these a name has one set, and where it leads is decided by all of it
EXCLUSIVE = ("A", "AAAA", "CNAME")

Entry = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A record as it is to be; `owner` is what is written beside it at Cloudflare."""

    name: str
    kind: str
    values: tuple[str, ...]
    ttl: int
    owner: str


@dataclass(frozen=True)
class Change:
    """`id` is the record that is changed or deleted, `body` what is sent."""

    method: str
    id: str = ""
    body: Entry | None = None


class Zone:
    """A zone, by the token that may write to it. Raises InfraError at the first question that fails."""

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self._base = os.environ.get(BASE) or DEFAULT
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=RETRY))
        found = self._ask("GET", "/zones", {"name": name})
        if not found:
            raise InfraError(
                f"the token of infra:secrets.{DNS}.{API_TOKEN} sees no zone {name} at Cloudflare: it needs Zone:Read "
                f"and DNS:Edit of that zone"
            )
        self.id: str = found[0]["id"]
        self.servers: list[str] = found[0].get("name_servers") or []
        self.is_active: bool = found[0].get("status") == "active"

    def records(self, name: str = "") -> list[Entry]:
        """All of the zone, or those of a name."""
        found: list[Entry] = []
        for page in range(1, 1000):
            query = {"per_page": PAGE, "page": page} | ({"name": name} if name else {})
            got = self._ask("GET", f"/zones/{self.id}/dns_records", query)
            found += got
            if len(got) < PAGE:
                break
        return found

    def put(self, wanted: Record) -> int:
        """Makes a record what it is to be; how many changes that took. Raises InfraError where it is another's."""
        todo = changes(self.records(wanted.name), wanted)
        for change in todo:
            self._do(change)
        return len(todo)

    def remove(self, wanted: Record) -> int:
        """Deletes what is this owner's of a record; how many there were."""
        mine = [e for e in self.records(wanted.name) if e["type"] == wanted.kind and e.get("comment") == wanted.owner]
        for entry in mine:
            self._do(Change("DELETE", entry["id"]))
        return len(mine)

    def take_over(self, entry: Entry, owner: str) -> None:
        """From here on a record that is there is this owner's; nothing else of it changes."""
        self._do(Change("PATCH", entry["id"], {"comment": owner}))

    def _do(self, change: Change) -> None:
        path = f"/zones/{self.id}/dns_records" + (f"/{change.id}" if change.id else "")
        self._ask(change.method, path, body=change.body)

    def _ask(self, method: str, path: str, query: Entry | None = None, body: Entry | None = None) -> Any:
        try:
            answer = self._session.request(
                method, self._base + path, params=query, json=body, timeout=PATIENCE, allow_redirects=False
            )
        except (requests.RequestException, ValueError) as error:
            raise InfraError(f"Cloudflare does not answer ({self._base}): {_plain(error)}") from None
        try:
            said = answer.json()
            errors = [(int(e.get("code", 0)), str(e.get("message", ""))) for e in said.get("errors") or []]
        except (ValueError, AttributeError, TypeError):
            raise InfraError(f"Cloudflare answered {answer.status_code} to {method} {path}, and no JSON") from None
        if answer.ok and said.get("success"):
            return said.get("result")
        if method == "DELETE" and answer.status_code == 404:
            return None
        if any(code == IS_THERE for code, _ in errors):
            # An earlier try came through, whose answer did not
            return None
        text = "; ".join(f"{message} ({code})" for code, message in errors) or f"status {answer.status_code}"
        if answer.status_code in (401, 403) or any(code in REFUSED for code, _ in errors):
            raise InfraError(
                f"Cloudflare refuses the token of infra:secrets.{DNS}.{API_TOKEN}: {text}. It needs Zone:Read and "
                f"DNS:Edit of {self.name}"
            )
        raise InfraError(f"Cloudflare refuses {method} of a record of {self.name}: {text}")


def _plain(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(getattr(error, "reason", "") or error))[:300]


def changes(there: Sequence[Entry], wanted: Record) -> list[Change]:
    """What makes a name's records (`there`, of all types) what is wanted: in place where there is one to change. Raises
    InfraError where another's record is in the way. Pure."""
    same = [entry for entry in there if entry["type"] == wanted.kind]
    others = [entry for entry in same if entry.get("comment") != wanted.owner]
    blocked = [*_in_the_way(there, wanted), *(e for e in others if e.get("proxied") or _clashes(e, wanted))]
    if blocked:
        raise InfraError(_blocked(blocked[0], wanted))
    values = {same_value(wanted.kind, value): value for value in wanted.values}
    kept: dict[str, Entry] = {}
    spare: list[Entry] = []
    for entry in same:
        value = same_value(wanted.kind, value_of(entry))
        if value in values and value not in kept:
            kept[value] = entry
        elif entry.get("comment") == wanted.owner:
            spare.append(entry)
    found: list[Change] = []
    common = {"type": wanted.kind, "name": wanted.name, "ttl": wanted.ttl, "comment": wanted.owner}
    common |= {"proxied": False} if wanted.kind in EXCLUSIVE else {}
    for value, written in values.items():
        body = common | _fields(wanted.kind, written)
        if (entry := kept.get(value)) is not None:
            is_so = entry.get("ttl") == wanted.ttl and entry.get("comment") == wanted.owner and not entry.get("proxied")
            found += [] if is_so else [Change("PATCH", entry["id"], body)]
        elif spare:
            found.append(Change("PATCH", spare.pop(0)["id"], body))
        else:
            found.append(Change("POST", "", body))
    return [*found, *(Change("DELETE", entry["id"]) for entry in spare)]


def _in_the_way(there: Sequence[Entry], wanted: Record) -> Iterator[Entry]:
    """A CNAME is alone at its name; and IPv6 clients would go where another's AAAA leads."""
    for entry in there:
        if (
            entry["type"] != wanted.kind
            and ((entry["type"] == "CNAME") or wanted.kind == "CNAME" or {entry["type"], wanted.kind} == {"A", "AAAA"})
            and entry.get("comment") != wanted.owner
        ):
            yield entry


def _clashes(entry: Entry, wanted: Record) -> bool:
    wished = {same_value(wanted.kind, value) for value in wanted.values}
    return wanted.kind in EXCLUSIVE and same_value(wanted.kind, value_of(entry)) not in wished


def _blocked(entry: Entry, wanted: Record) -> str:
    how = "proxied by Cloudflare" if entry.get("proxied") else f"{value_of(entry)}"
    whose = f", and belongs to {entry['comment']!r}" if entry.get("comment") else ", and is not this stack's"
    found = f"{entry['name']} has a record {entry['type']} at Cloudflare already: {how}{whose}"
    if entry.get("proxied"):
        return f"{found}. Switch the proxy off there (DNS only): names lead to the hosts themselves"
    if entry["type"] == wanted.kind:
        return f"{found}. To let this stack change it: infra dns adopt {entry['name']}; else remove it there"
    return f"{found}. It is in the way of {wanted.kind} {', '.join(wanted.values)}: remove it there"


def same_value(kind: str, value: str) -> str:
    """What values are compared by: of a name its dot at the end and its case say nothing."""
    return value.rstrip(".").lower() if kind in ("CNAME", "MX", "SRV", "AAAA") else value


def value_of(entry: Entry) -> str:
    """A record's value as infra:records writes it."""
    kind, content, data = entry["type"], str(entry.get("content", "")), entry.get("data") or {}
    if kind == "MX":
        return f"{entry.get('priority', 0)} {content}"
    if kind == "SRV" and data:
        numbers = " ".join(str(data.get(key)) for key in ("priority", "weight", "port"))
        return f"{numbers} {data.get('target')}"
    if kind == "CAA" and data:
        return f'{data.get("flags")} {data.get("tag")} "{data.get("value")}"'
    if kind == "TXT":
        return plain_text(content)
    return content


def _fields(kind: str, value: str) -> Entry:
    """A value as the API takes it."""
    if kind == "MX":
        priority, name = value.split(" ")
        return {"priority": int(priority), "content": name.rstrip(".") or "."}
    if kind == "SRV":
        priority, weight, port, name = value.split(" ")
        target = name.rstrip(".") or "."
        return {"data": {"priority": int(priority), "weight": int(weight), "port": int(port), "target": target}}
    if kind == "CAA":
        flags, tag, text = value.split(" ", 2)
        return {"data": {"flags": int(flags), "tag": tag, "value": text.strip('"')}}
    return {"content": quoted_text(value) if kind == "TXT" else value.rstrip(".") if kind == "CNAME" else value}
