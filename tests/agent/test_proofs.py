"""What proves public names by DNS: written where the zone is kept, and removed; the ways of certbot that lead there."""

import io
import re

import pytest

from agent import aws, certificates, proofs
from agent.outcome import Refused
from lab.cloud.cloudflare import Cloudflare
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, bigger, gone_back, release, serving, world_for
from tests.catalogue.changes import configured

NAME, VALUE = "api.hey-watch.me", "Zm9v-bar_1"
HOME = "/etc/letsencrypt/renewal/api.hey-watch.me.conf"


@pytest.fixture
def api(tmp_path):
    return Cloudflare(["hey-watch.me"], tmp_path / "cloudflare.json")


def asking(api, monkeypatch) -> FakeWorld:
    """A host that reaches the API, with the hosts' token in its file."""
    world = FakeWorld()
    world.files[proofs.TOKEN_FILE] = (f"CLOUDFLARE_PROOF_TOKEN={api.tokens['hosts']}\n".encode(), 0o600, "root", "root")

    def fetch(url, headers, method="GET", body=None, timeout=20):
        path, _, query = url.removeprefix("https://api.cloudflare.com").partition("?")
        answer = {}
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": io.BytesIO(body or b""),
            "CONTENT_LENGTH": str(len(body or b"")), "SERVER_NAME": "x", "SERVER_PORT": "443", "wsgi.url_scheme": "https",
            **{f"HTTP_{key.upper().replace('-', '_')}": value for key, value in headers.items()},
        }  # fmt: skip
        said = b"".join(api(environ, lambda status, headers: answer.update(status=int(status.split()[0]))))
        return answer["status"], said

    world.fetch = fetch
    # No resolver of this machine is asked
    monkeypatch.setattr(proofs.nameservers, "servers_of", unknown)
    monkeypatch.setenv("CERTBOT_DOMAIN", NAME)
    monkeypatch.setenv("CERTBOT_VALIDATION", VALUE)
    return world


def unknown(*_):
    raise proofs.nameservers.Silent("no resolver")


def texts(api):
    return [(entry["name"], entry["content"]) for entry in api.entries.values() if entry["type"] == "TXT"]


def test_proof_at_cloudflare_is_created_and_removed(api, monkeypatch):
    world = asking(api, monkeypatch)
    assert proofs.run(world, "prove", ["cloudflare"]) == 0
    proofs.run(world, "prove", ["cloudflare"])
    assert texts(api) == [(f"_acme-challenge.{NAME}", f'"{VALUE}"')]
    monkeypatch.setenv("CERTBOT_VALIDATION", "another")
    proofs.run(world, "prove", ["cloudflare"])
    assert len(texts(api)) == 2, "two certificates of one name are proved at once"
    proofs.run(world, "unprove", ["cloudflare"])
    assert texts(api) == [(f"_acme-challenge.{NAME}", f'"{VALUE}"')]


def test_proof_waits_until_all_name_servers_have_it(api, monkeypatch):
    world, looks = asking(api, monkeypatch), iter([[[], None], [[b"other"], []], [[VALUE.encode()], None]])
    monkeypatch.setattr(proofs.nameservers, "servers_of", lambda *_: ["one", "two"])
    monkeypatch.setattr(proofs.nameservers, "texts", lambda *_: next(looks))
    proofs.run(world, "prove", ["cloudflare"])
    assert next(looks, None) is None, "it looked three times"


def test_name_servers_without_the_proof_are_reported(api, monkeypatch):
    world = asking(api, monkeypatch)
    monkeypatch.setattr(proofs.nameservers, "servers_of", lambda *_: ["one"])
    monkeypatch.setattr(proofs.nameservers, "texts", lambda *_: [[]])
    with pytest.raises(Refused, match="is not on all servers of Cloudflare after"):
        proofs.run(world, "prove", ["cloudflare"])


WRONG = {
    "no name": (["cloudflare"], {"CERTBOT_DOMAIN": ""}, "certbot runs this"),
    "a name that is none": (["cloudflare"], {"CERTBOT_DOMAIN": "x/../y"}, "certbot runs this"),
    "a proof that is none": (["cloudflare"], {"CERTBOT_VALIDATION": 'a"b'}, "certbot runs this"),
    "another provider": (["godaddy"], {}, "not known: prove godaddy"),
    "a zone that is none": (["delegated", "a b"], {}, "not known: prove delegated a b"),
    "another token": (["cloudflare"], {"CLOUDFLARE_PROOF_TOKEN": "x"}, "refuses to write _acme-challenge.api.hey-watch.me: Invalid access token"),
    "another's zone": (["cloudflare"], {"CERTBOT_DOMAIN": "www.example.org"}, "cannot see the zone of _acme-challenge.www.example.org"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "environment", "line"), WRONG.values(), ids=WRONG)
def test_unprovable_name_is_reported(api, monkeypatch, words, environment, line):
    world = asking(api, monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refused, match=re.escape(line)):
        proofs.run(world, "prove", words)
    assert texts(api) == []


def test_an_alias_of_a_stack_that_delegates_no_more_gives_way(api, monkeypatch):
    world = asking(api, monkeypatch)
    zone = next(iter(api.zones))
    alias = {
        "type": "CNAME",
        "name": f"_acme-challenge.{NAME}",
        "content": "x.acme.example.net",
        "ttl": 60,
        "zone_name": "hey-watch.me",
    }
    ours = {**alias, "id": "a", "comment": "infra: stack prod of AWS account 1, proof", "proxied": False}
    api.entries["a"] = {**ours, "comment": "mine"}
    with pytest.raises(Refused, match="A CNAME record with that host already exists"):
        proofs.run(world, "prove", ["cloudflare"])
    api.entries["a"] = ours
    proofs.run(world, "prove", ["cloudflare"])
    assert zone and texts(api) == [(f"_acme-challenge.{NAME}", f'"{VALUE}"')] and "a" not in api.entries


@pytest.mark.parametrize("code", [81057, 81058])
def test_proof_of_an_earlier_attempt_is_accepted(api, monkeypatch, code):
    world = asking(api, monkeypatch)
    monkeypatch.setattr("lab.cloud.cloudflare.IS_THERE", code)
    proofs.run(world, "prove", ["cloudflare"])
    monkeypatch.setattr(proofs.Cloudflare, "_there", lambda self, id: [])
    assert proofs.run(world, "prove", ["cloudflare"]) == 0


def test_no_authority_is_asked_where_the_proof_cannot_be_written():
    """It counts what fails: five times an hour for a name."""
    made = kept_by("cloudflare")
    world = world_for(made)
    outcome = applied(world, made, {"dns": {"CLOUDFLARE_PROOF_TOKEN": "hosts"}})
    assert outcome.outcome == "refused" and "Cloudflare refuses to write _acme-challenge" in outcome.line, outcome.line
    assert not any("certbot" in line for line in world.ran)


def test_challenge_changes_from_dns_to_http_for_an_external_zone():
    def by_http(data):
        data["sites"][0]["challenge"] = "http-01"

    world = serving(release(bigger))
    renewed_by(world, "manual", HOOK + "cloudflare")
    outcome = applied(world, release(by_http, configured(dns={"provider": "external"})))
    assert outcome.outcome == "applied" and any("--webroot" in line for line in world.ran), outcome.line
    world.ran.clear()
    applied(world, release(by_http, configured(dns={"provider": "external"}, keepReleases=7)))
    assert not any("certbot certonly" in line for line in world.ran)


def test_repeated_rollbacks_obtain_a_certificate_once(monkeypatch):
    """Of one certificate it gives a few in a week."""
    monkeypatch.setattr(proofs, "check", lambda *_: None)
    world = serving(release(bigger))
    renewed_by(world, "dns-route53")
    before = dict(world.links)
    asked = 0
    for _ in range(3):
        world.web = lambda url, *_: 500
        outcome = applied(world, kept_by("cloudflare"), {"dns": {"CLOUDFLARE_PROOF_TOKEN": "hosts"}})
        assert outcome.outcome == "rolled back", outcome.line
        asked += sum("certbot certonly" in line for line in world.ran)
        assert "dns-route53" in world.files[HOME][0].decode() and world.links == before
    assert asked == 1
    world.web = lambda url, *_: 200
    outcome = applied(world, kept_by("cloudflare"), {"dns": {"CLOUDFLARE_PROOF_TOKEN": "hosts"}})
    assert outcome.outcome == "applied" and not any("certbot certonly" in line for line in world.ran)
    assert "of the earlier release is in use again" in str(outcome) or world.links != before


ZONES = b'<R xmlns="x"><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>other.net.</Name></HostedZone><HostedZone><Id>/hostedzone/Z2</Id><Name>acme.example.net.</Name></HostedZone></HostedZones></R>'


def test_a_delegated_proof_is_written_in_its_zone(monkeypatch):
    asked, states = [], iter([b"PENDING", b"INSYNC"])

    def answered(world, request):
        asked.append((request.method, request.path, request.body))
        if request.path.endswith("/hostedzone"):
            return 200, ZONES
        if "/change/" in request.path:
            return 200, b"<R><Status>" + next(states) + b"</Status></R>"
        return 200, b"<R><ChangeInfo><Id>/change/C9</Id><Status>PENDING</Status></ChangeInfo></R>"

    monkeypatch.setattr(aws, "ask_as_host", answered)
    monkeypatch.setenv("CERTBOT_DOMAIN", NAME)
    monkeypatch.setenv("CERTBOT_VALIDATION", VALUE)
    assert proofs.run(FakeWorld(), "prove", ["delegated", "acme.example.net"]) == 0
    assert [path for _, path, _ in asked] == [
        "/2013-04-01/hostedzone", "/2013-04-01/hostedzone/Z2/rrset/", "/2013-04-01/change/C9", "/2013-04-01/change/C9",
    ]  # fmt: skip
    body = asked[1][2]
    assert f"<Name>{NAME}.acme.example.net</Name>" in body and f"<Value>&quot;{VALUE}&quot;</Value>" in body
    assert "<Action>UPSERT</Action>" in body
    proofs.run(FakeWorld(), "unprove", ["delegated", "acme.example.net"])
    assert "<Action>DELETE</Action>" in asked[-1][2]


def test_public_zone_is_found_on_the_second_page(monkeypatch):
    private = b"<Id>/hostedzone/Z0</Id><Name>acme.example.net.</Name><Config><PrivateZone>true</PrivateZone></Config>"
    first = (
        b"<R><HostedZones><HostedZone>"
        + private
        + b"</HostedZone></HostedZones><IsTruncated>true</IsTruncated><NextMarker>Z1</NextMarker></R>"
    )
    asked = []

    def answered(world, request):
        asked.append(request.query)
        return 200, ZONES if request.query else first

    monkeypatch.setattr(aws, "ask_as_host", answered)
    assert proofs.Delegated(FakeWorld(), "x", "acme.example.net")._id() == "Z2"
    assert asked == [(), (("marker", "Z1"),)]


def test_refusal_of_route_53_is_reported(monkeypatch):
    said = b"<E><Error><Message>not authorized to perform route53:ChangeResourceRecordSets</Message></Error></E>"
    monkeypatch.setattr(
        aws, "ask_as_host", lambda world, request: (200, ZONES) if request.method == "GET" else (403, said)
    )
    monkeypatch.setenv("CERTBOT_DOMAIN", NAME)
    monkeypatch.setenv("CERTBOT_VALIDATION", VALUE)
    with pytest.raises(Refused, match="not authorized to perform"):
        proofs.run(FakeWorld(), "prove", ["delegated", "acme.example.net"])


def of(**values):
    """A certificate as a manifest has it."""
    return {"name": NAME, "challenge": "dns-01", "server": "https://acme/dir", "email": "a@b.c", **values}


def test_commands_of_certbot_have_the_expected_options():
    assert "--dns-route53" in certificates.command(of()), "a manifest of an earlier version"
    assert "--dns-route53" in certificates.command(of(provider="route53", zone=""))
    assert "--webroot" in certificates.command(of(challenge="http-01", provider="external"))
    words = certificates.command(of(provider="cloudflare", zone=""))
    assert words[words.index("--manual-auth-hook") + 1].endswith("/var/lib/infra/bin prove cloudflare")
    words = certificates.command(of(provider="external", zone="acme.example.net"))
    assert words[words.index("--manual-cleanup-hook") + 1].endswith(" unprove delegated acme.example.net")


def test_a_certificate_for_all_names_below_a_domain():
    words = certificates.command(
        of(name="_wildcard.hey-watch.me", provider="cloudflare", zone="", domain="*.hey-watch.me")
    )
    assert words[-3:] == ["_wildcard.hey-watch.me", "-d", "*.hey-watch.me"]


def kept_by(provider, zone=""):
    """The release of a stack whose zone is kept there."""
    tokens = {"CLOUDFLARE_API_TOKEN": "operators", "CLOUDFLARE_PROOF_TOKEN": "hosts"}
    dns = {"provider": provider, "challenges": zone}
    return release(config=configured(dns=dns, secrets={"dns": tokens} if provider == "cloudflare" else {}))


def renewed_by(world, authenticator, hook=""):
    content, *owned = world.files[HOME]
    lines = content.decode().replace("authenticator = webroot", f"authenticator = {authenticator}")
    world.files[HOME] = (f"{lines}\nmanual_auth_hook = {hook}\n".encode(), *owned)


HOOK = "/usr/bin/python3 -I -B /var/lib/infra/bin prove "
WAYS = {
    "Route 53 as before": ("dns-route53", "", "route53", "", False),
    "from Route 53 to Cloudflare": ("dns-route53", "", "cloudflare", "", True),
    "from Cloudflare to Route 53": ("manual", HOOK + "cloudflare", "route53", "", True),
    "Cloudflare as before": ("manual", HOOK + "cloudflare", "cloudflare", "", False),
    "another zone": ("manual", HOOK + "delegated a.net", "external", "b.net", True),
    "the same zone": ("manual", HOOK + "delegated a.net", "cloudflare", "a.net", False),
    "a person's own way": ("nginx", "", "cloudflare", "", False),
    "a person's own hook": ("manual", "/root/hook.sh", "cloudflare", "", False),
}


@pytest.mark.parametrize(("authenticator", "hook", "provider", "zone", "is_new"), WAYS.values(), ids=WAYS)
def test_a_certificate_that_could_not_be_renewed_any_more_is_obtained_again(
    monkeypatch, authenticator, hook, provider, zone, is_new
):
    world = serving(release(bigger))
    monkeypatch.setattr(proofs, "check", lambda *_: None)
    renewed_by(world, authenticator, hook)
    world.ran.clear()
    outcome = applied(world, kept_by(provider, zone), {"dns": {"CLOUDFLARE_PROOF_TOKEN": "hosts"}})
    assert outcome.outcome == "applied", outcome.line
    assert any("certbot certonly" in line for line in world.ran) is is_new
    file = world.files.get(proofs.TOKEN_FILE)
    if provider == "cloudflare" and not zone:
        assert b"CLOUDFLARE_PROOF_TOKEN=hosts" in file[0]
        assert file[1:] == (0o600, "root", "root") and b"operators" not in file[0]
    else:
        assert file is None


def test_certbot_has_the_token_before_the_release_is_in_place(monkeypatch):
    monkeypatch.setattr(proofs, "check", lambda *_: None)
    made = kept_by("cloudflare")
    world = world_for(made)
    seen = []
    real = world.run

    def run(*argv, environment=None, **more):
        if argv[0] == "certbot":
            seen.append((dict(environment or {}), proofs.TOKEN_FILE in world.files, " ".join(argv)))
        return real(*argv, environment=environment, **more)

    world.run = run
    outcome = applied(world, made, {"dns": {"CLOUDFLARE_PROOF_TOKEN": "hosts"}})
    assert outcome.outcome == "applied", outcome.line
    ((environment, is_there, words),) = seen
    assert environment["CLOUDFLARE_PROOF_TOKEN"] == "hosts" and not is_there and "hosts" not in words


def test_rollback_keeps_the_current_certificates():
    """Without anything from the network, though another provider keeps the zone by now."""
    made = release()
    world = serving(made, release(bigger))
    renewed_by(world, "manual", HOOK + "cloudflare")
    outcome = gone_back(world, made.id)
    assert outcome.outcome == "rolled back" or outcome.code == 0, outcome.line
    assert not any("certbot" in line for line in world.ran)


def test_rollback_does_not_replace_certificates_renewed_since(monkeypatch):
    """Such as a certificate whose key has got out, renewed by hand after a release went back."""
    monkeypatch.setattr(proofs, "check", lambda *_: None)
    world = serving(release(bigger))
    renewed_by(world, "dns-route53")
    world.web = lambda url, *_: 500
    applied(world, kept_by("cloudflare"), {"dns": {"CLOUDFLARE_PROOF_TOKEN": "hosts"}})
    world.certify(NAME, "https://acme/dir")
    newest = dict(world.links)
    world.web = lambda url, *_: 200
    applied(world, kept_by("cloudflare"), {"dns": {"CLOUDFLARE_PROOF_TOKEN": "hosts"}})
    keys = [link for link in newest if link.endswith(f"live/{NAME}/privkey.pem")]
    assert keys and all(world.links[link] >= newest[link] for link in keys)


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"api.hey-watch.me": 1}'])
def test_damaged_record_of_obtained_certificates_is_ignored(monkeypatch, damage):
    monkeypatch.setattr(proofs, "check", lambda *_: None)
    world = serving(release(bigger))
    renewed_by(world, "dns-route53")
    world.files[certificates.OBTAINED] = (damage, 0o600, "root", "root")
    outcome = applied(world, kept_by("cloudflare"), {"dns": {"CLOUDFLARE_PROOF_TOKEN": "hosts"}})
    assert outcome.outcome == "applied", outcome.line
