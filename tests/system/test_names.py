"""Public names in a zone that Route 53 does not keep, on the host that `pulumi up` made: records, certificates, the
service of which only one may run."""

import json
from collections.abc import Iterator

import pytest

from lab import ports
from lab.table import address_of
from tests.support import WATCHME
from tests.system.conftest import System
from tests.system.faults import Load
from tests.system.on import until, wait_until_well

PATHS = [e["routes"][0]["public"] for e in WATCHME["services"] if not e.get("retired") and not e.get("single")]
pytestmark = [pytest.mark.lab, pytest.mark.nightly]
NAME = "api.hey-watch.me"
RENEWAL = f"/etc/letsencrypt/renewal/{NAME}.conf"


def tokens(system: System) -> dict[str, str]:
    return json.loads(system.lab.path("run", "cloudflare.json").read_text())


def give(system: System, name: str, value: str) -> None:
    ran = system.command("infra", "secret", "set", f"dns.{name}", "--stack", "lab", stdin=value)
    assert ran.code == 0, ran.output


def single(system: System) -> bool:
    """Does a service of which only one may run run on the host."""
    return bool(system.on_host("sh", "-c", "ls /run/infra/single 2>/dev/null").output)


def show(system: System, *words: str):
    resolver = f"{system.lab.gateway}:{ports.DNS}"
    return system.command("infra", "dns", "show", "--stack", "lab", "--resolver", resolver, *words)


@pytest.fixture(scope="module")
def at_cloudflare(system: System) -> Iterator[System]:
    """The lab's zone is kept at Cloudflare meanwhile, and in Route 53 again afterwards."""
    before = system.lab.config_file.read_text()
    system.set("infra:dns.provider", "cloudflare")
    # The shortest that Cloudflare keeps
    system.set("infra:recordTtl", "60")
    given = tokens(system)
    give(system, "CLOUDFLARE_API_TOKEN", given["operator"])
    give(system, "CLOUDFLARE_PROOF_TOKEN", given["hosts"])
    refused = system.up()
    assert refused.code != 0 and "infra dns leave --stack lab" in refused.output, refused.output
    system.set("infra:dns.leaves", "route53")
    yield system
    system.lab.config_file.write_text(before)
    system.set("infra:dns.leaves", "cloudflare")
    system.must_up()
    system.lab.config_file.write_text(before)
    until("the service of which only one may run", lambda: single(system), 120)
    wait_until_well(system)


def test_zone_moves_to_cloudflare_without_a_lost_request(at_cloudflare: System) -> None:
    system = at_cloudflare
    wait_until_well(system)
    address = address_of(NAME, system.lab.dns)
    previewed = system.command("infra", "preview", "--stack", "lab").output
    assert f"public name record-{NAME}" in previewed and "the name no longer resolves" in previewed, previewed
    with Load(system, PATHS).going() as load:
        output = system.must_up()
    assert load.lost() == {} and f"{NAME} A: {address} at Cloudflare" in output, output
    assert "obtained the certificate of" in output, output
    assert address_of(NAME, system.lab.dns) == address
    settings = system.on_host("cat", RENEWAL).output
    assert "authenticator = manual" in settings and "/var/lib/infra/bin prove cloudflare" in settings
    given = tokens(system)
    state = system.lab.path("state", ".pulumi", "stacks", "infra", "lab.json").read_text()
    assert given["operator"] not in state + output and given["hosts"] not in state + output + settings
    assert system.on_host("grep", "-rlsF", "-e", given["operator"], "/etc", "/var/lib/infra", "/run/infra").output == ""
    file = system.on_host("stat", "-c", "%a %U", "/etc/infra/cloudflare.env")
    assert file.output == "600 root"


def test_names_are_up_to_date_after_the_move(at_cloudflare: System) -> None:
    # The hosts' rights in Route 53, which the release before needed until then
    at_cloudflare.must_up()
    again = at_cloudflare.pulumi("preview", "--expect-no-changes")
    assert again.code == 0, again.output
    found = show(at_cloudflare)
    assert found.code == 0 and f"{NAME}  A  " in found.output and "correct: 1 server" in found.output, found.output


def test_singleton_follows_the_name_servers_of_the_zone(at_cloudflare: System) -> None:
    until("the service starts", lambda: single(at_cloudflare), 120)
    config = json.loads(at_cloudflare.on_host("cat", "/etc/infra/singles.json").output)
    assert config["servers"] == [f"{at_cloudflare.lab.gateway}:{ports.DNS}"], config


def test_certbot_renews_by_the_hook(at_cloudflare: System) -> None:
    bundle = "REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt"
    ran = at_cloudflare.on_host(
        "env", bundle, "certbot", "renew", "--force-renewal", "--cert-name", NAME, "--no-random-sleep-on-renew"
    )
    assert ran.code == 0 and "all renewals succeeded" in ran.output, ran.output
    left = show(at_cloudflare, "--json")
    assert json.loads(left.output)[0]["right"] is True


def test_wildcard_certificate_serves_all_names_of_its_domain(at_cloudflare: System, watchme: System) -> None:
    watchme.edit(
        "files/systems/watchme.yaml", "    challenge: dns-01\n", "    challenge: dns-01\n    certificate: wildcard\n"
    )
    with Load(watchme, PATHS).going() as load:
        output = watchme.must_up()
    assert load.lost() == {} and "obtained the certificate of _wildcard.hey-watch.me" in output, output
    chain = "/etc/letsencrypt/live/_wildcard.hey-watch.me/fullchain.pem"
    names = watchme.on_host("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", chain).output
    assert "DNS:*.hey-watch.me" in names, names
    shown = watchme.on_host(
        "sh",
        "-c",
        f"openssl s_client -connect 127.0.0.1:443 -servername {NAME} </dev/null 2>/dev/null | openssl x509 -noout "
        "-ext subjectAltName",
    )
    assert "DNS:*.hey-watch.me" in shown.output, shown.output
    watchme.restore_all()
    watchme.must_up()
    # What no site uses any more certbot would go on renewing, with a token that is going to be gone
    gone = watchme.on_host("certbot", "delete", "--non-interactive", "--cert-name", "_wildcard.hey-watch.me")
    assert gone.code == 0, gone.output
