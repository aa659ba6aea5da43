"""Cloudflare's API, as far as records of a zone go: https://developers.cloudflare.com/api/resources/dns/."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

from catalogue.records import plain_text, quoted_text
from catalogue.stack import API_TOKEN, DNS
from infra.cloudflare_forms import Entry, RecordBody, RecordData
from infra.errors import InfraError

# As Cloudflare's own clients call it
BASE = "CLOUDFLARE_BASE_URL"
DEFAULT = "https://api.cloudflare.com/client/v4"
PATIENCE = 20  # seconds for an answer
RETRY = Retry(
    total=5,
    backoff_factor=1,
    status_forcelist=[429, 500, 502, 503, 504],
    allowed_methods=None,
    raise_on_status=False,
    # It can ask for minutes, in which nothing would be said
    respect_retry_after_header=False,
)
PAGE = 100
AUTOMATIC = 1  # a time to live that Cloudflare decides
IS_THERE = {81057, 81058}  # an identical record already exists
TOO_MANY = 429
REFUSED = {6003, 6111, 9106, 9109, 10000, 10001}
PART = ", "  # between the stack that wrote a record and what part of it, in the comment beside it
# Of these a name has one set, and where it leads is decided by all of it
EXCLUSIVE = ("A", "AAAA", "CNAME")


@dataclass(frozen=True)
class Record:
    """A record as it is to be; `owner` is what is written beside it at Cloudflare. Where `is_proxied`, the name leads
    to Cloudflare's proxy."""

    name: str
    kind: str
    values: tuple[str, ...]
    ttl: int
    owner: str
    is_proxied: bool = False

    @property
    def life(self) -> int:
        """Its time to live as Cloudflare keeps it: it decides that of what it proxies."""
        return AUTOMATIC if self.is_proxied else self.ttl

    @property
    def words(self) -> str:
        """Its values, and how long they are kept."""
        return f"{', '.join(self.values)} {'proxied' if self.is_proxied else f'for {self.ttl} s'}"


@dataclass(frozen=True)
class Change:
    """`id` is the record that is changed or deleted, `body` what is sent."""

    method: str
    id: str = ""
    body: RecordBody | None = None


class NoZone(InfraError):
    """There is no such zone, as far as the token goes."""


class RefusedToken(InfraError):
    """The token is not known, has ended, or may not do that."""


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Zone:
    """A zone, by the token that may write to it. Raises InfraError at the first question that fails."""

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self._base = os.environ.get(BASE) or DEFAULT
        self._session = requests.Session()
        # As what signs in: of a ~/.netrc nothing is taken then
        self._session.auth = _Bearer(token)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=RETRY))
        zones = self._ask("GET", "/zones", {"name": name})
        if not zones:
            raise NoZone(
                f"the token of infra:secrets.{DNS}.{API_TOKEN} sees no zone {name} at Cloudflare: add the zone "
                "there, or give the token Zone:Read and DNS:Edit of it"
            )
        # Of two of a name one may wait for its name servers
        self.id: str = min(zones, key=lambda zone: zone.get("status") != "active")["id"]

    def records(self, name: str = "") -> list[Entry]:
        """All of the zone, or those of a name."""
        entries: list[Entry] = []
        for page in range(1, 1000):
            query: dict[str, str | int] = {"per_page": PAGE, "page": page}
            if name:
                query["name"] = name
            got: list[Entry] = self._ask("GET", f"/zones/{self.id}/dns_records", query)
            entries += got
            if len(got) < PAGE:
                break
        return entries

    def put(self, record: Record) -> int:
        """Makes a record what it is to be; how many changes that took. Raises InfraError where it is another's."""
        todo = changes(self.records(record.name), record)
        for change in todo:
            self._do(change)
        return len(todo)

    def remove(self, record: Record) -> int:
        """Deletes what this owner wrote of a record, and nothing that was written since; how many there were."""
        there = [e for e in self.records(record.name) if e["type"] == record.kind and e.get("comment") == record.owner]
        mine = [entry for entry in there if not _differs(entry, record)]
        for entry in mine:
            self._do(Change("DELETE", entry["id"]))
        return len(mine)

    def take_over(self, entry: Entry, owner: str) -> None:
        """From here on a record that is there is this owner's; nothing else of it changes."""
        self._do(Change("PATCH", entry["id"], {"comment": owner}))

    def _do(self, change: Change) -> None:
        path = f"/zones/{self.id}/dns_records" + (f"/{change.id}" if change.id else "")
        self._ask(change.method, path, body=change.body)

    def _ask(
        self, method: str, path: str, query: Mapping[str, str | int] | None = None, body: RecordBody | None = None
    ) -> Any:
        try:
            answer = self._session.request(
                method, self._base + path, params=query, json=body, timeout=PATIENCE, allow_redirects=False
            )
        except (requests.RequestException, ValueError) as error:
            raise InfraError(
                f"Cloudflare does not answer ({self._base}): {_plain(error)}. {_certain(method)}"
            ) from None
        try:
            reply: dict[str, Any] = answer.json()
            entries: list[Mapping[str, Any]] = reply.get("errors") or []
            errors = [(int(e.get("code", 0)), str(e.get("message", ""))) for e in entries]
        except (ValueError, AttributeError, TypeError):
            what = f"Cloudflare answered {answer.status_code} to {method} {path}, and no JSON"
            raise InfraError(f"{what}. {_certain(method)}") from None
        if answer.ok and reply.get("success"):
            return reply.get("result")
        if method == "DELETE" and answer.status_code == 404:
            return None
        if any(code in IS_THERE for code, _ in errors):
            # An earlier try came through, whose answer did not
            return None
        if answer.status_code == TOO_MANY:
            after = answer.headers.get("Retry-After", "")
            until = f"after {after} s" if after.isdecimal() else "in some minutes"
            raise InfraError(f"Cloudflare takes no more requests for now: run again {until}")
        text = "; ".join(f"{message} ({code})" for code, message in errors) or f"status {answer.status_code}"
        if answer.status_code in (401, 403) or any(code in REFUSED for code, _ in errors):
            raise RefusedToken(
                f"Cloudflare refuses the token of infra:secrets.{DNS}.{API_TOKEN}: {text}. It needs Zone:Read and "
                f"DNS:Edit of {self.name}"
            )
        raise InfraError(f"Cloudflare refuses {method} of a record of {self.name}: {text}")


def _certain(method: str) -> str:
    if method == "GET":
        return "Nothing was changed by that: run again"
    return "Whether it was done is not known: run again, which looks first"


def _plain(error: Exception) -> str:
    """The innermost reason: what the library says around it is long."""
    text = re.sub(r"\s+", " ", str(error))
    matches: list[tuple[str, ...]] = re.findall(
        r"\[Errno -?\d+\] ([^\"')\]]+)|(timed out)|(certificate verify failed[^)]*)", text
    )
    return next(filter(None, matches[-1]), text)[:200] if matches else text[:200]


def changes(there: Sequence[Entry], record: Record) -> list[Change]:
    """What makes a name's records (`there`, of all types) what is wanted: in place where there is one to change. Raises
    InfraError where another's record is in the way. Pure."""
    beside = [entry for entry in there if entry["type"] != record.kind and _excludes(entry["type"], record.kind)]
    same = [entry for entry in there if entry["type"] == record.kind]
    others = [entry for entry in same if not _is_of_stack(entry, record)]
    blocked = [entry for entry in beside if not _is_of_stack(entry, record)]
    if record.kind in EXCLUSIVE:
        blocked += [
            entry
            for entry in others
            if bool(entry.get("proxied")) != record.is_proxied or entry.get("comment") or _differs(entry, record)
        ]
    if blocked:
        raise InfraError(_conflict_message(blocked[0], record))
    # A name has an alias or other records: the API refuses both
    first = [Change("DELETE", entry["id"]) for entry in beside if "CNAME" in (entry["type"], record.kind)]
    return [*first, *_of_values(same, record)]


def _of_values(same: Sequence[Entry], record: Record) -> list[Change]:
    values = {same_value(record.kind, value): value for value in record.values}
    unchanged: dict[str, Entry] = {}
    spare: list[Entry] = []
    # The stack's own first: what another has beside it is let be
    for entry in sorted(same, key=lambda entry: not _is_of_stack(entry, record)):
        value = same_value(record.kind, value_of(entry))
        if value in values and value not in unchanged:
            unchanged[value] = entry
        elif _is_of_stack(entry, record):
            spare.append(entry)
    change_list: list[Change] = []
    common: RecordBody = {"type": record.kind, "name": record.name, "ttl": record.life, "comment": record.owner}
    if record.kind in EXCLUSIVE:
        common["proxied"] = record.is_proxied
    for value, text in values.items():
        body: RecordBody = {**common, **_fields(record.kind, text)}
        if (entry := unchanged.get(value)) is not None:
            is_so = entry.get("ttl") == record.life and entry.get("comment") == record.owner
            is_so = is_so and bool(entry.get("proxied")) == record.is_proxied
            is_others = record.kind not in EXCLUSIVE and not _is_of_stack(entry, record)
            change_list += [] if is_so or is_others else [Change("PATCH", entry["id"], body)]
        elif spare:
            change_list.append(Change("PATCH", spare.pop(0)["id"], body))
        else:
            change_list.append(Change("POST", "", body))
    return [*change_list, *(Change("DELETE", entry["id"]) for entry in spare)]


def _is_of_stack(entry: Entry, record: Record) -> bool:
    """Is it the same stack's, whatever part of it wrote it."""
    return (entry.get("comment") or "").rpartition(PART)[0] == record.owner.rpartition(PART)[0] != ""


def _excludes(kind: str, other: str) -> bool:
    """A CNAME is alone at its name; and clients with IPv6 would go where another's AAAA leads."""
    return "CNAME" in (kind, other) or {kind, other} == {"A", "AAAA"}


def _differs(entry: Entry, record: Record) -> bool:
    return same_value(record.kind, value_of(entry)) not in {same_value(record.kind, value) for value in record.values}


def _conflict_message(entry: Entry, record: Record) -> str:
    how = "proxied by Cloudflare" if entry.get("proxied") else f"{value_of(entry)}"
    comment = entry.get("comment")
    whose = f", and belongs to {comment!r}" if comment else ", and is not this stack's"
    conflict = f"{entry['name']} has a record {entry['type']} at Cloudflare already: {how}{whose}"
    if entry.get("proxied") and not record.is_proxied:
        return (
            f"{conflict}. Switch the proxy off there (DNS only): names lead to the hosts themselves, but for "
            "sites with cdn: {proxied: true}"
        )
    if entry["type"] == record.kind:
        adopt = f"infra dns adopt {entry['name']}{_stack(record)}"
        return f"{conflict}. To let this stack change it: {adopt}; else remove it there"
    return f"{conflict}. It is in the way of {record.kind} {', '.join(record.values)}: remove it there"


def _stack(record: Record) -> str:
    match = re.match(r"infra: stack (\S+) of ", record.owner)
    return f" --stack {match[1]}" if match and "~" not in match[1] else ""


def same_value(kind: str, value: str) -> str:
    """What values are compared by: of a name its dot at the end and its case say nothing, of an address of IPv6 and of
    a number how it is written."""
    if kind == "AAAA":
        with suppress(ValueError):
            return str(IPv6Address(value))
    if kind in ("MX", "SRV"):
        *numbers, name = value.split(" ")
        return " ".join([*(str(int(number)) if number.isdecimal() else number for number in numbers), _name(name)])
    return _name(value) if kind == "CNAME" else value


def _name(text: str) -> str:
    return text.rstrip(".").lower() or "."


def value_of(entry: Entry) -> str:
    """A record's value as infra:records writes it."""
    kind, content = entry["type"], str(entry.get("content", ""))
    data: RecordData = entry.get("data") or {}
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


def _fields(kind: str, value: str) -> RecordBody:
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
