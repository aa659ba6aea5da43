"""certbot's lineages: what is damaged is named, asked about once, and replaced once it matters."""

import copy
from collections.abc import Callable
from contextlib import suppress

import pytest

from agent import certificates, lineages, store
from agent.monitor.conditions import firing
from agent.monitor.look import HostFacts
from agent.recover import recover
from agent.store import current
from agent.world import CommandResult
from tests.agent.conditions import watchme
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import JOB, applied, bigger, longer, release, serving
from tests.rows import changes

NAME = "api.hey-watch.me"
RENEWAL, LIVE, ARCHIVE = lineages.places(NAME)
KEY, CHAIN = f"{LIVE}/privkey.pem", f"{LIVE}/fullchain.pem"
OWNED = (0o644, "root", "root")
LEFT = f"openssl x509 -noout -checkend {30 * 86400}"


def plain(world: FakeWorld) -> None:
    """As a copy that follows links leaves it."""
    for part in lineages.PARTS:
        world.files[f"{LIVE}/{part}"] = world.files[f"{ARCHIVE}/{part.replace('.', '1.')}"]
        del world.links[f"{LIVE}/{part}"]


def without(world: FakeWorld, *words: str) -> None:
    lines = world.files[RENEWAL][0].decode().splitlines()
    kept = [line for line in lines if not any(line.startswith(word) for word in words)]
    world.files[RENEWAL] = ("\n".join(kept).encode(), *OWNED)


def of_account(world: FakeWorld, content: bytes | None) -> None:
    """What is in the account that the certificate is renewed as; None for no file."""
    (path,) = [path for path in world.files if path.endswith("/1/private_key.json")]
    if content is None:
        del world.files[path]
    else:
        world.files[path] = (content, *OWNED)


def saying(old: str, new: str) -> Callable[[FakeWorld], None]:
    """A renewal file in which something else is written."""

    def change(world: FakeWorld) -> None:
        content = world.files[RENEWAL][0]
        assert old.encode() in content
        world.files[RENEWAL] = (content.replace(old.encode(), new.encode()), *OWNED)

    return change


def another_key(world: FakeWorld) -> None:
    """As a copy leaves it that brought a part of a lineage."""
    world.files[f"{ARCHIVE}/privkey2.pem"] = (b"another", *OWNED)
    world.links[KEY] = f"../../archive/{NAME}/privkey2.pem"


HTTP = "authenticator = webroot"
DAMAGE = {
    "an empty renewal file": (lambda w: w.files.update({RENEWAL: (b"", *OWNED)}), f"{RENEWAL} is empty"),
    "no renewal file": (lambda w: w.files.pop(RENEWAL), f"{RENEWAL} is missing"),
    "zeros after a loss of power": (lambda w: w.files.update({RENEWAL: (bytes(500), *OWNED)}), f"{RENEWAL} is empty"),
    "no authority": (lambda w: without(w, "server"), f"{RENEWAL} has no server"),
    "no account": (lambda w: without(w, "account"), f"{RENEWAL} has no account"),
    "half of it": (lambda w: without(w, "fullchain", "[", "account", "server", "authenticator"), f"{RENEWAL} has no fullchain"),
    "no header": (saying("[renewalparams]\n", ""), f"{RENEWAL} has no section [renewalparams]"),
    "a header too early": (lambda w: w.files.update({RENEWAL: (b"[renewalparams]\n" + w.files[RENEWAL][0].replace(b"[renewalparams]\n", b""), *OWNED)}), f"{RENEWAL} has no cert above its sections"),
    "another section": (saying("[renewalparams]", "[renewalparams]\n[other]"), f"{RENEWAL} has no account in [renewalparams]"),
    "a key twice": (saying("account = 1", "account = 1\naccount = 2"), f"{RENEWAL} has account twice in [renewalparams], again in line 7"),
    "a file twice": (saying("[renewalparams]", f"cert = {LIVE}/cert.pem\n[renewalparams]"), f"{RENEWAL} has cert twice above its sections, again in line 5"),
    "a section twice": (saying("[renewalparams]", "[renewalparams]\n[renewalparams]"), f"{RENEWAL} has [renewalparams] twice, again in line 6"),
    "a broken line": (saying("account = 1", "account = 1\nwebroot_pa"), f"{RENEWAL} has a syntax error in line 7: neither"),
    "a broken header": (saying("[renewalparams]", "[renewalparams"), f"{RENEWAL} has a syntax error in line 5: neither"),
    "a header of another depth": (saying("[renewalparams]", "[[renewalparams]]"), f"{RENEWAL} has a syntax error in line 5: the brackets"),
    "an open quote": (saying("account = 1", "account = '1"), f"{RENEWAL} has a syntax error in line 6: unmatched quotes"),
    "no text": (lambda w: w.files.update({RENEWAL: (b"\xff\xfe=\n" + w.files[RENEWAL][0], *OWNED)}), f"{RENEWAL} is not UTF-8"),
    "switched off": (saying("account = 1", "account = 1\nautorenew = False"), f"{RENEWAL} has an autorenew other than True"),
    "alone at the proxy's port": (saying(HTTP, "authenticator = standalone"), f"{RENEWAL} has authenticator = standalone, which needs port 80"),
    "by hand": (saying(HTTP, "authenticator = manual"), f"{RENEWAL} has authenticator = manual without manual_auth_hook"),
    "by hand, without a hook": (saying(HTTP, "authenticator = manual\nmanual_auth_hook = None"), "without manual_auth_hook"),
    "a key of another time": (another_key, f"{KEY} is a link to number 2, but {LIVE}/cert.pem to number 1"),
    "a part of another kind": (lambda w: w.links.update({KEY: w.links[f"{LIVE}/cert.pem"]}), "which is not named privkeyNUMBER.pem"),
    "plain files": (plain, f"{LIVE}/cert.pem is not a link into /etc/letsencrypt/archive"),
    "a link is missing": (lambda w: w.links.pop(f"{LIVE}/chain.pem"), f"{LIVE}/chain.pem is missing"),
    "its file is missing": (lambda w: w.files.pop(f"{ARCHIVE}/cert1.pem"), "which does not exist"),
    "its file is empty": (lambda w: w.files.update({f"{ARCHIVE}/privkey1.pem": (b"", *OWNED)}), f"{ARCHIVE}/privkey1.pem is empty"),
    "the account is gone": (lambda w: of_account(w, None), "/1/private_key.json is missing"),
    "an empty key of the account": (lambda w: of_account(w, b""), "/1/private_key.json is empty"),
    "zeros in the account": (lambda w: of_account(w, bytes(90)), "/1/private_key.json is damaged"),
    "another place": (lambda w: w.links.update({f"{LIVE}/chain.pem": "/root/chain.pem"}), "is a link to /root/chain.pem"),
    "another lineage's": (
        lambda w: w.files.update({RENEWAL: (w.files[RENEWAL][0].replace(b"live/api", b"live/www"), *OWNED)}),
        f"{RENEWAL} does not name {LIVE}/cert.pem",
    ),
}  # fmt: skip


def damaged(kind: str) -> FakeWorld:
    world = serving(release())
    DAMAGE[kind][0](world)
    return world


def test_files_of_certbot_have_no_fault():
    world = serving(release())
    assert lineages.fault(world, NAME) == "" and lineages.server(world, NAME).startswith("https://acme-v02")
    world.links[CHAIN] = f"/etc/letsencrypt/archive/{NAME}/fullchain1.pem"
    assert lineages.fault(world, NAME) == ""


RENEWED = {
    "webroot": ("/directory", f"/directory\nwebroot_path = /var/www/a,\n[[webroot_map]]\n{NAME} = /var/www/a"),
    "nginx's plugin": (HTTP, "authenticator = nginx"),
    "a proof by DNS": (HTTP, "authenticator = dns-route53"),
    "a hook": (HTTP, "authenticator = manual\nmanual_auth_hook = /opt/prove --all"),
    "alone at another port": (HTTP, "authenticator = standalone\nhttp01_port = 8888"),
    "alone, once the proxy is stopped": (HTTP, "authenticator = standalone\npre_hook = systemctl stop nginx"),
    "switched on": (HTTP, f"{HTTP}\nautorenew = True"),
    "quotes": ("account = 1", 'account = "1" # the only one'),
    "comments and space": ("[renewalparams]", "\n# of certbot\n  [ renewalparams ] # all of it"),
    "a text of several lines": (HTTP, f"{HTTP}\npost_hook = '''a\nb'''"),
    "a list of quotes": (HTTP, f"{HTTP}\ndomains = 'a', 'b'"),
}


@pytest.mark.parametrize(("old", "new"), RENEWED.values(), ids=RENEWED)
def test_renewed_certificates_have_no_fault(old, new):
    world = serving(release())
    saying(old, new)(world)
    assert lineages.fault(world, NAME) == ""


def test_quoted_authority_is_the_same():
    world = serving(release())
    known = lineages.server(world, NAME)
    saying(f"server = {known}", f'server = "{known}"')(world)
    assert lineages.server(world, NAME) == known and lineages.fault(world, NAME) == ""


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_lineage_that_serves_is_named_and_not_asked_for_again(kind):
    world = damaged(kind)
    assert DAMAGE[kind][1] in lineages.fault(world, NAME)
    said: list[str] = []
    job = JOB.__class__(**{**vars(JOB), "say": said.append})
    for change in (bigger, longer):
        assert applied(world, release(change), job=job).outcome == "applied"
        assert not world.commands("certbot certonly")
    warning = next(line for line in said if line.startswith("warning: "))
    assert f"the certificate of {NAME} is in use, but certbot cannot renew it: {lineages.fault(world, NAME)}" in warning


@pytest.mark.parametrize("kind", DAMAGE)
def test_monitor_reports_a_damaged_lineage_early(kind):
    world = watchme()
    DAMAGE[kind][0](world)
    (alert,) = firing(HostFacts(world, current(world)))
    assert alert.alert == "certificate-renewal" and DAMAGE[kind][1] in alert.text
    assert alert.text.startswith(f"certbot cannot renew the certificate of {NAME}: ")


UNUSABLE = {
    "it ends within a month": lambda w: w.answers.update({LEFT: CommandResult(1, "Certificate will expire")}),
    "it is not trusted": lambda w: w.answers.update(
        {"openssl verify": CommandResult(2, "error 20: unable to get local issuer")}
    ),
    "its key is another's": lambda w: w.answers.update({"openssl pkey": CommandResult(0, "another")}),
    "its key is missing": lambda w: w.answers.update({"openssl pkey": CommandResult(1, "No such file")}),
}


UNTRUSTED = "it is not trusted"
PAIRS = [(kind, UNTRUSTED) for kind in DAMAGE] + [("plain files", why) for why in UNUSABLE if why != UNTRUSTED]


@pytest.mark.parametrize(("kind", "why"), PAIRS)
def test_unusable_certificate_is_set_aside_and_obtained_once(kind, why):
    world = damaged(kind)
    UNUSABLE[why](world)
    own = tuple(lineages.places(NAME))
    before = sorted(file for path, file in world.files.items() if path.startswith(own))
    assert applied(world, release(bigger)).outcome == "applied"
    assert len(world.commands("certbot certonly")) == 1 and lineages.fault(world, NAME) == ""
    assert not [path for path in world.files if "-0001" in path]
    # Nothing of it is lost
    assert sorted(file for path, file in world.files.items() if ".damaged-1" in path) == before
    applied(world, release(longer))
    assert not world.commands("certbot certonly")


def test_second_damaged_lineage_is_set_aside_beside_the_first():
    world = damaged("an empty renewal file")
    UNUSABLE["it is not trusted"](world)
    applied(world, release(bigger))
    DAMAGE["plain files"][0](world)
    assert applied(world, release(longer)).outcome == "applied"
    assert world.exists(f"{LIVE}.damaged-1") and world.exists(f"{LIVE}.damaged-2") and not lineages.fault(world, NAME)


def test_damaged_certificate_stays_when_no_new_one_is_obtained():
    world = damaged("plain files")
    UNUSABLE["it is not trusted"](world)
    world.answers["certbot"] = CommandResult(1, "too many certificates already issued")
    before, links = dict(world.files), dict(world.links)
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "refused" and "too many certificates already issued" in outcome.line
    own = "/etc/letsencrypt/"
    assert {p: f for p, f in world.files.items() if own in p} == {p: f for p, f in before.items() if own in p}
    assert {p: t for p, t in world.links.items() if own in p} == {p: t for p, t in links.items() if own in p}


def test_killed_replacement_leaves_a_certificate_to_serve():
    start = damaged("plain files")
    UNUSABLE["it is not trusted"](start)
    whole = copy.deepcopy(start)
    assert applied(whole, release(bigger)).outcome == "applied"
    for number in changes(whole.changes - start.changes):
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        with suppress(Killed):
            applied(world, release(bigger))
        world.kill_at = None
        recover(world, JOB, "the host restarted midway")
        assert world.exists(CHAIN) and world.exists(KEY), number
        assert not world.exists(certificates.REPLACED), number
        assert store.current_id(world)


def test_rollback_keeps_the_new_certificate():
    """The damaged one could not be renewed, and the new one took one of the authority's few attempts."""
    world = damaged("an empty renewal file")
    UNUSABLE["it is not trusted"](world)
    world.web = lambda url: 500 if ":8014/" in url and b"300m" in b"".join(f[0] for f in world.files.values()) else 200
    assert applied(world, release(bigger)).outcome in ("rolled back", "applied")
    assert lineages.fault(world, NAME) == "" and world.exists(f"{LIVE}.damaged-1")


def test_unchanged_release_serves_the_new_certificate():
    world = damaged("an empty renewal file")
    UNUSABLE["it ends within a month"](world)
    assert applied(world, release()).outcome == "unchanged"
    assert world.commands("certbot certonly") and world.commands("systemctl try-reload-or-restart nginx")
    recover(world, JOB, "the host restarted midway")
    assert lineages.fault(world, NAME) == "" and not world.exists(certificates.REPLACED)


def test_a_release_that_is_refused_afterwards_asks_the_authority_once():
    world = damaged("plain files")
    UNUSABLE["it is not trusted"](world)
    world.answers["unshare"] = CommandResult(1, "unknown directive")
    asked = 0
    for _ in range(3):
        assert applied(world, release(longer)).outcome == "refused"
        asked += len(world.commands("certbot certonly"))
    assert asked == 1 and lineages.fault(world, NAME) == ""


def test_certificate_at_an_unexpected_path_is_reported():
    world = serving(release())
    for path in [path for path in [*world.files, *world.links] if path.startswith("/etc/letsencrypt/")]:
        world.files.pop(path, None)
        world.links.pop(path, None)
    world.answers["certbot"] = CommandResult(0, "Certificate is saved at: /etc/letsencrypt/live/other/fullchain.pem")
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "refused" and f"certbot obtained a certificate for {NAME}, but not where" in outcome.line
