"""A stack moves whose zone Route 53 does not keep: at Cloudflare, and where a person writes the records."""

import json
import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
import requests

from lab import ports, workspace
from lab.table import address_of
from tests.moves.on import NAME, client, goes_to, other_region, points_to, runs, turns
from tests.moves.traffic import Clients
from tests.system.conftest import System

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
PROOFS = "acme.proofs.example"


class Person:
    """Who keeps the zone by hand: in the lab by Cloudflare's stand-in, as others do in their provider's pages."""

    def __init__(self, system: System) -> None:
        self.base = f"{workspace.environment(system.lab)['CLOUDFLARE_BASE_URL']}/zones"
        token = json.loads(system.lab.path("run", "cloudflare.json").read_text())["operator"]
        self.headers = {"Authorization": f"Bearer {token}"}
        self.base += f"/{self.asked('GET')[0]['id']}/dns_records"

    def asked(self, method: str, path: str = "", **body):
        answer = requests.request(method, self.base + path, headers=self.headers, json=body or None, timeout=10).json()
        assert answer["success"], answer
        return answer["result"]

    def write(self, kind: str, name: str, content: str) -> None:
        there = [entry for entry in self.asked("GET", f"?name={name}") if entry["type"] == kind]
        body = {"type": kind, "name": name, "content": content, "ttl": 60}
        if there:
            self.asked("PATCH", f"/{there[0]['id']}", **body)
        else:
            self.asked("POST", **body)

    def clear(self) -> None:
        for entry in self.asked("GET"):
            self.asked("DELETE", f"/{entry['id']}")


def give(system: System, name: str, value: str) -> None:
    ran = system.command("infra", "secret", "set", f"dns.{name}", "--stack", "lab", stdin=value)
    assert ran.code == 0, ran.output


@pytest.fixture
def leaving(sydney: System) -> Iterator[tuple[System, str]]:
    """A stack in one region, and the other one; its zone is in Route 53 again afterwards."""
    region = other_region(sydney)
    before = sydney.lab.config_file.read_text()
    sydney.set("infra:recordTtl", "60")
    yield sydney, region
    text = sydney.lab.config_file.read_text()
    for line in before.splitlines():
        if line.strip().startswith("aws:region"):
            now = next(other for other in text.splitlines() if other.strip().startswith("aws:region"))
            before = before.replace(line, now)
    sydney.lab.config_file.write_text(before)
    sydney.set("infra:dns.leaves", "cloudflare")
    Person(sydney).clear()
    sydney.must_up()


def test_move_with_cloudflare_loses_no_request(leaving):
    system, region = leaving
    system.set("infra:dns.provider", "cloudflare")
    system.set("infra:dns.leaves", "route53")
    tokens = json.loads(system.lab.path("run", "cloudflare.json").read_text())
    give(system, "CLOUDFLARE_API_TOKEN", tokens["operator"])
    give(system, "CLOUDFLARE_PROOF_TOKEN", tokens["hosts"])
    system.must_up()
    left, clients = address_of(NAME, system.lab.dns), Clients(system)
    goes_to(system, region)
    with clients.going():
        output = system.must_up()
    assert clients.failed == [] and points_to(system) == region and address_of(NAME, system.lab.dns) != left
    print(f"{clients.count} requests, {len(clients.failed)} failed")
    assert "drain" in output and "quiet after" in output, output
    turned = turns(runs(system))
    assert all(begin > end for (_, _, end), (_, begin, _) in pairwise(turned)), turned
    ran = system.pulumi("preview", "--expect-no-changes")
    assert ran.code == 0, ran.output


def test_a_person_points_the_names(leaving):
    system, region = leaving
    person, address = Person(system), address_of(NAME, system.lab.dns)
    client(system, "route53").create_hosted_zone(Name=PROOFS, CallerReference="proofs")
    person.write("A", NAME, address)
    system.set("infra:dns.provider", "external")
    system.set("infra:dns.leaves", "route53")
    system.set("infra:dns.challenges", PROOFS)
    resolver = f"{system.lab.gateway}:{ports.DNS}"
    shown = system.command("infra", "dns", "show", "--stack", "lab", "--resolver", resolver)
    assert shown.code == 1 and f"_acme-challenge.{NAME}  CNAME  {NAME}.{PROOFS}  not yet" in shown.output, shown.output
    person.write("CNAME", f"_acme-challenge.{NAME}", f"{NAME}.{PROOFS}")
    system.must_up()
    shown = system.command("infra", "dns", "show", "--stack", "lab", "--resolver", resolver)
    assert shown.code == 0, shown.output
    goes_to(system, region)
    system.set("infra:dns.wait", "10")
    ran = system.up()
    assert ran.code != 0 and "the record was not changed within 10 s. Run again to continue" in ran.output, ran.output
    assert points_to(system) != region, "nothing was pointed, and nothing is gone"
    system.set("infra:dns.wait", "120")
    clients, asked = Clients(system), threading.Event()

    def point() -> None:
        assert asked.wait(300)
        person.write("A", NAME, waiting_for(system))

    thread = threading.Thread(target=point)
    thread.start()
    with clients.going():
        ran = system.up_and("waiting for a change by hand", lambda _: asked.set())
    thread.join(10)
    assert ran.code == 0, ran.output
    assert clients.failed == [] and points_to(system) == region, clients.failed[:5]
    print(f"{clients.count} requests, {len(clients.failed)} failed")


def waiting_for(system: System) -> str:
    """The address of the host that has no name yet."""
    pointed = address_of(NAME, system.lab.dns)
    found: list[str] = []
    for place in ("ap-southeast-2", "ap-northeast-1"):
        for entry in client(system, "ec2", place).describe_addresses()["Addresses"]:
            tags = {tag["Key"]: tag["Value"] for tag in entry.get("Tags", [])}
            if entry.get("InstanceId") and entry["PublicIp"] != pointed and "watchme" in tags.get("Name", ""):
                found.append(entry["PublicIp"])
    (address,) = found
    return address
