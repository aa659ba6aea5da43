"""What proves a public name to a certificate authority, written where certbot's own plugins do not: at Cloudflare, or
in the zone of Route 53 that the name of the proof leads to. certbot runs it as a hook, at its renewals too."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from agent import aws, nameservers
from agent.documents.certificates import TextRecord
from agent.documents.manifest import Certificate
from agent.outcome import Refused
from agent.shapes import JsonObject, items_of, object_of
from agent.store import Release
from agent.world import World

CLOUDFLARE = "https://api.cloudflare.com/client/v4"
# Where a release leaves the token, and how it is named there and in certbot's environment while one is prepared
IS_THERE = (81057, 81058)  # an identical record already exists
TOKEN_FILE, TOKEN = "/etc/infra/cloudflare.env", "CLOUDFLARE_PROOF_TOKEN"
PATIENCE = 120  # seconds until the zone's servers have it
PAUSE = 2.0
PAGES = 100  # of zones
LIFE = 60  # seconds that a proof's record may be kept
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
LEADS_ELSEWHERE = re.compile(r"infra: stack .*, proof")
VALUE = re.compile(r"[A-Za-z0-9_-]{1,255}")
AUTH_HOOK = "--manual-auth-hook"
FAILED = "infra: no proof: "  # what a hook says before its reason, among certbot's own lines
PROGRAM = "/usr/bin/python3 -I -B /var/lib/infra/bin"


def plugin(item: Certificate) -> list[str]:
    """certbot's words for how it proves the name of a certificate by DNS, as the manifest has it."""
    provider, zone = item.get("provider", "route53"), item.get("zone", "")
    if provider == "route53" and not zone:
        return ["--dns-route53"]
    words = f"delegated {zone}" if zone else provider
    return [
        "--manual", "--preferred-challenges", "dns",
        AUTH_HOOK, f"{PROGRAM} prove {words}", "--manual-cleanup-hook", f"{PROGRAM} unprove {words}",
    ]  # fmt: skip


def way(item: Certificate) -> tuple[str, str]:
    """The same as certbot's renewal file has it: the plugin, and its hook."""
    words = plugin(item)
    return words[0].lstrip("-"), words[words.index(AUTH_HOOK) + 1] if AUTH_HOOK in words else ""


def is_ours(way: tuple[str, str]) -> bool:
    """Is a name proved as a release would, in one zone or another."""
    return way == ("dns-route53", "") or way[1].startswith(PROGRAM)


def environment(target: Release, item: Certificate) -> dict[str, str]:
    """What the hook needs before the release is in place."""
    if item["challenge"] != "dns-01" or item.get("provider") != "cloudflare" or item.get("zone"):
        return {}
    content = next((file.content for file in target.files if file.path == TOKEN_FILE), b"")
    return {TOKEN: token} if (token := _token_in(content)) else {}


def check(world: World, item: Certificate, token: dict[str, str]) -> None:
    """Before an authority is asked, which counts what fails. Raises Refused where the proof could not be written."""
    provider, zone = item.get("provider", "route53"), item.get("zone", "")
    if item["challenge"] != "dns-01" or (provider == "route53" and not zone):
        return
    name = (item.get("domain") or item["name"]).removeprefix("*.")
    if zone:
        Delegated(world, f"{name}.{zone}", zone).check()
    elif provider == "cloudflare":
        Cloudflare(world, f"_acme-challenge.{name}", token.get(TOKEN, "")).check()


def run(world: World, verb: str, words: list[str]) -> int:
    """`prove` or `unprove`, as certbot's hook: what and for which name is in the environment. Raises Refused."""
    name, value = os.environ.get("CERTBOT_DOMAIN", ""), os.environ.get("CERTBOT_VALIDATION", "")
    if not NAME.fullmatch(name) or not VALUE.fullmatch(value):
        raise Refused("certbot runs this, with a name and its proof in the environment")
    writer: Any
    if words[:1] == ["delegated"] and len(words) == 2 and NAME.fullmatch(words[1]):
        writer = Delegated(world, f"{name}.{words[1]}", words[1])
    elif words == ["cloudflare"]:
        writer = Cloudflare(world, f"_acme-challenge.{name}")
    else:
        raise Refused(f"not known: {' '.join([verb, *words])}")
    (writer.write if verb == "prove" else writer.remove)(value)
    return 0


@dataclass
class Delegated:
    """A text of a zone in Route 53, with the rights of this host."""

    world: World
    name: str
    zone: str

    def write(self, value: str) -> None:
        change = self._change("UPSERT", value)
        end = self.world.now() + PATIENCE
        while b"INSYNC" not in self._ask("GET", f"/2013-04-01/change/{change}"):
            if self.world.now() > end:
                raise Refused(f"the TXT record {self.name} is not on all servers of Route 53 after {PATIENCE} s")
            self.world.sleep(PAUSE)

    def remove(self, value: str) -> None:
        self._change("DELETE", value)

    def _change(self, action: str, value: str) -> str:
        """The id of the change."""
        body = (
            '<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes>'
            f"<Change><Action>{action}</Action><ResourceRecordSet><Name>{escape(self.name)}</Name><Type>TXT</Type>"
            f"<TTL>{LIFE}</TTL><ResourceRecords><ResourceRecord><Value>&quot;{escape(value)}&quot;</Value>"
            "</ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch>"
            "</ChangeResourceRecordSetsRequest>"
        )
        answer = self._ask("POST", f"/2013-04-01/hostedzone/{self._id()}/rrset/", body)
        return _text(answer, "Id").rsplit("/", 1)[-1]

    def _id(self) -> str:
        query: tuple[tuple[str, str], ...] = ()
        for _ in range(PAGES):
            answer = self._ask("GET", "/2013-04-01/hostedzone", query=query)
            for zone in ElementTree.fromstring(answer).iter():
                if zone.tag.rsplit("}", 1)[-1] == "HostedZone":
                    own = {child.tag.rsplit("}", 1)[-1]: child.text or "" for child in zone.iter()}
                    if own.get("Name", "").rstrip(".") == self.zone and own.get("PrivateZone") != "true":
                        return own["Id"].rsplit("/", 1)[-1]
            if _text(answer, "IsTruncated") != "true":
                break
            query = (("marker", _text(answer, "NextMarker")),)
        raise Refused(f"this host cannot see the zone {self.zone} in AWS (infra:dns.challenges)")

    def check(self) -> None:
        """Raises Refused where it could not be written."""
        self._id()

    def _ask(self, method: str, path: str, body: str = "", query: tuple[tuple[str, str], ...] = ()) -> bytes:
        kind = (("content-type", "text/xml"),) if body else ()
        request = aws.Request(method, "route53.amazonaws.com", "us-east-1", "route53", path, query, kind, body)
        status, answer = aws.ask_as_host(self.world, request)
        if status != 200:
            reason = _text(answer, "Message") or f"status {status}"
            raise Refused(f"Route 53 refuses to write {self.name}: {reason}")
        return answer


def _text(document: bytes, tag: str) -> str:
    try:
        texts = [e.text or "" for e in ElementTree.fromstring(document).iter() if e.tag.rsplit("}", 1)[-1] == tag]
    except ElementTree.ParseError:
        return ""
    return texts[0] if texts else ""


@dataclass
class Cloudflare:
    """A text of a zone at Cloudflare, by the token that a release brings."""

    world: World
    name: str
    token: str = ""

    def write(self, value: str) -> None:
        zone, id = self._zone()
        query = f"/zones/{id}/dns_records?type=CNAME&name={quote(self.name)}"
        entries: list[TextRecord] = self._ask("GET", query) or []
        for entry in entries:
            # Of a stack that has its names proved elsewhere no more (infra:dns.challenges)
            if LEADS_ELSEWHERE.fullmatch(str(entry.get("comment") or "")):
                self._ask("DELETE", f"/zones/{id}/dns_records/{quote(str(entry['id']), safe='')}")
        body = {"type": "TXT", "name": self.name, "content": f'"{value}"', "ttl": LIFE, "comment": "infra: proof"}
        if not [e for e in self._there(id) if _content(e) == value]:
            self._ask("POST", f"/zones/{id}/dns_records", body)
        self._wait(zone, value)

    def check(self) -> None:
        """Raises Refused where it could not be written."""
        self._zone()

    def remove(self, value: str) -> None:
        _, id = self._zone()
        for entry in self._there(id):
            if _content(entry) == value:
                self._ask("DELETE", f"/zones/{id}/dns_records/{quote(str(entry['id']), safe='')}")

    def _wait(self, zone: str, value: str) -> None:
        """Until the zone's servers have it, as far as they can be asked."""
        try:
            servers = nameservers.servers_of(zone, [], PAUSE)
        except nameservers.Silent:
            # Cloudflare's documentation: within seconds
            self.world.sleep(5 * PAUSE)
            return
        end = self.world.now() + PATIENCE
        while self.world.now() < end:
            answers = nameservers.texts(servers, self.name, 5 * PAUSE)
            if any(answers) and all(values is None or value.encode() in values for values in answers):
                return
            self.world.sleep(PAUSE)
        raise Refused(f"the TXT record {self.name} is not on all servers of Cloudflare after {PATIENCE} s")

    def _zone(self) -> tuple[str, str]:
        """The zone that the name lies in, by the longest name that the token sees."""
        labels = self.name.split(".")
        for number in range(1, len(labels) - 1):
            zone = ".".join(labels[number:])
            zones = self._ask("GET", f"/zones?name={quote(zone)}")
            if zones:
                return zone, zones[0]["id"]
        raise Refused(f"the token of infra:secrets.dns.{TOKEN} cannot see the zone of {self.name} at Cloudflare")

    def _there(self, id: str) -> list[TextRecord]:
        return self._ask("GET", f"/zones/{id}/dns_records?type=TXT&name={quote(self.name)}&per_page=100") or []

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        payload = json.dumps(body).encode() if body else None
        status, body_read = 0, b""
        for pause in (*aws.PAUSES, 0):
            status, body_read = self.world.fetch(CLOUDFLARE + path, headers, method, payload)
            if status not in (0, 429) and status < 500:
                break
            self.world.sleep(pause)
        try:
            parsed: object = json.loads(body_read)
        except ValueError:
            parsed = {}
        answer = object_of(parsed)
        errors = [cast("JsonObject", error) for error in items_of(answer.get("errors")) if isinstance(error, dict)]
        if status == 200 and answer.get("success"):
            return answer.get("result")
        if any(error.get("code") in IS_THERE for error in errors):
            # An earlier try came through, whose answer did not
            return None
        reasons = "; ".join(str(error.get("message")) for error in errors) or f"status {status}"
        if status in (401, 403):
            reasons += f" (infra:secrets.dns.{TOKEN} needs Zone:Read and DNS:Edit of that zone)"
        raise Refused(f"Cloudflare refuses to write {self.name}: {reasons}")

    def _token(self) -> str:
        token = self.token or os.environ.get(TOKEN) or _token_in(self.world.read(TOKEN_FILE) or b"")
        if not token:
            raise Refused(f"{TOKEN_FILE} has no {TOKEN}")
        return token


def _token_in(content: bytes) -> str:
    match = re.search(rf"^{TOKEN}=['\"]?([A-Za-z0-9_-]+)['\"]?$", content.decode(errors="replace"), re.MULTILINE)
    return match[1] if match else ""


def _content(entry: TextRecord) -> str:
    return str(entry.get("content", "")).strip('"')
