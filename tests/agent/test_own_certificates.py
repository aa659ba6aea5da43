"""Certificates that no authority is asked for: looked at by the host's openssl before anything is switched."""

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from agent import drift, own_certificates, store
from agent.apply import go_back
from agent.desired_state import assignments
from agent.outcome import Mask
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.releases import JOB, applied, bigger, gone_back, release, world_for
from tests.catalogue.changes import both, configured
from tests.catalogue.sites import beside

NAME = "api.hey-watch.me"
OWN = {"certificate": {"chain_secret": "TLS_CHAIN", "key_secret": "TLS_KEY"}}
CHAIN, KEY = (f"/etc/nginx/certificates/watchme-TLS_{part}.pem" for part in ("CHAIN", "KEY"))
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="this machine has no openssl")


def private():
    return ec.generate_private_key(ec.SECP256R1())


def in_pem(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


def certificate(name, key, issuer=None, days=90, names=(NAME,)):
    """One for `key`, by `issuer` (its name and key) or by itself."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0] if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode(), subject


ROOT_KEY, BETWEEN_KEY, OWN_KEY = private(), private(), private()
ROOT, ROOT_NAME = certificate("root", ROOT_KEY)
BETWEEN, BETWEEN_NAME = certificate("between", BETWEEN_KEY, (ROOT_NAME, ROOT_KEY))
LEAF, _ = certificate(NAME, OWN_KEY, (BETWEEN_NAME, BETWEEN_KEY))


def leaf(**named):
    return certificate(NAME, OWN_KEY, (BETWEEN_NAME, BETWEEN_KEY), **named)[0]


class WithOpenssl(FakeWorld):
    """Files in memory that this machine's openssl looks at."""

    place = None
    has_ended = False  # what was in force when it was put there

    def run(self, *argv, timeout=300, environment=None, stdin=""):
        if argv[0] != "openssl":
            return super().run(*argv, timeout=timeout, environment=environment, stdin=stdin)
        if self.has_ended and "-checkend" in argv:
            return CommandResult(1, "Certificate will expire")
        words = list(argv)
        path = words[-1]
        file = self.place / "file.pem"
        file.write_bytes(self.read(path) or b"")
        ran = subprocess.run([*words[:-1], str(file)], capture_output=True, text=True, timeout=20, check=False)
        return CommandResult(ran.returncode, ran.stdout + ran.stderr)


def with_own(data):
    data["sites"][0].update(OWN)


VALUES = configured(secrets={"watchme": {"TLS_CHAIN": "[encrypted]", "TLS_KEY": "[encrypted]"}})


def complaint(tmp_path, chain, key):
    """What a release with this certificate is refused for; "" where it is applied."""
    made = release(with_own, VALUES)
    world = WithOpenssl(registry=world_for(made).registry)
    world.place = tmp_path
    outcome = applied(world, made, secrets={"watchme": {"TLS_CHAIN": chain, "TLS_KEY": key}})
    assert not world.listing(own_certificates.STAGE)
    if outcome.code == 0:
        assert world.read(CHAIN).decode() == f"# TLS_CHAIN of watchme\n{chain}\n"
        assert world.files[KEY][1:] == (0o600, "root", "root")
    else:
        assert store.current(world) is None and not world.exists(KEY)
    return outcome.line if outcome.code else ""


def test_one_that_fits_serves(tmp_path):
    assert complaint(tmp_path, LEAF + BETWEEN, in_pem(OWN_KEY)) == ""
    wild = leaf(names=("*.hey-watch.me",))
    assert complaint(tmp_path, wild + BETWEEN + ROOT, in_pem(OWN_KEY)) == ""


REFUSED = {
    "another key": (LEAF + BETWEEN, in_pem(ROOT_KEY), f"does not fit its key ({KEY})"),
    "the chain first": (BETWEEN + LEAF, in_pem(OWN_KEY), "is not the first of its chain: its key"),
    "no order": (
        LEAF + ROOT + BETWEEN,
        in_pem(OWN_KEY),
        "chain out of order: certificate 2 did not sign certificate 1",
    ),
    "ended": (leaf(days=-1) + BETWEEN, in_pem(OWN_KEY), "has ended ("),
    "another name": (leaf(names=("other.example",)) + BETWEEN, in_pem(OWN_KEY), "is not for this name"),
    "a name deeper": (leaf(names=("*.api.hey-watch.me",)), in_pem(OWN_KEY), "is not for this name"),
    "a passphrase": (LEAF, in_pem(OWN_KEY, BestAvailableEncryption(b"x" * 8)), "cannot be compared with its key"),
    "no certificate": ("nothing", in_pem(OWN_KEY), "has no certificate in PEM"),
    "no key": (LEAF, "nothing", "cannot be compared with its key"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_that_would_not_serve_is_refused_before_the_switch(tmp_path, case):
    chain, key, words = REFUSED[case]
    line = complaint(tmp_path, chain, key)
    assert words in line and f"the certificate of {NAME}" in line and "Replace it" in line
    assert "PRIVATE" not in line


def test_files_of_the_host_are_looked_at_too(tmp_path):
    files = FILES
    made = release(with_files)
    world = WithOpenssl(registry=world_for(made).registry)
    world.place = tmp_path
    for path, text in ((files["chain"], LEAF + BETWEEN), (files["key"], in_pem(ROOT_KEY))):
        world.files[path] = (text.encode(), 0o600, "root", "root")
    assert "does not fit its key (/etc/ssl/shop.key)" in applied(world, made).line
    world.files[files["key"]] = (in_pem(OWN_KEY).encode(), 0o600, "root", "root")
    assert applied(world, made).code == 0


def test_a_key_edited_by_hand_is_drift_and_is_not_shown(tmp_path):
    made, secrets = release(with_own, VALUES), {"watchme": {"TLS_CHAIN": LEAF, "TLS_KEY": in_pem(OWN_KEY)}}
    world = WithOpenssl(registry=world_for(made).registry)
    world.place = tmp_path
    assert applied(world, made, secrets=secrets).code == 0
    assert store.secrets_of(world, store.current(world).id) >= {LEAF, in_pem(OWN_KEY)}
    _, mode, owner, group = world.files[KEY]
    world.files[KEY] = (in_pem(ROOT_KEY).encode(), mode, owner, group)
    (finding,) = [item for item in drift.drift(world, []) if item["path"] == KEY]
    assert finding == {"path": KEY, "found": "was edited", "diff": "[another text, not shown]"}


def test_a_line_of_a_key_is_masked_too():
    key = in_pem(OWN_KEY)
    line = key.splitlines()[1]
    assert line not in Mask([key]).all_of(f"nginx: bad line {line}")


def test_a_text_is_read_back_as_it_was_written():
    item = {"between": "\n"}
    assert assignments("# a\nb=c\nd\n", item) == {"# a": "b=c\nd"}


def test_a_way_back_is_open_whatever_has_ended(tmp_path):
    made, secrets = release(with_own, VALUES), {"watchme": {"TLS_CHAIN": LEAF, "TLS_KEY": in_pem(OWN_KEY)}}
    world = WithOpenssl(registry=world_for(made).registry)
    world.place = tmp_path
    assert (
        applied(world, made, secrets=secrets).code == 0
        and applied(world, release(both(with_own, bigger), VALUES), secrets=secrets).code == 0
    )
    world.time += 400 * 86400
    assert gone_back(world, made.id).code == 0 and world.exists(KEY)


def expired(tmp_path, change, secrets):
    """A host that serves with a certificate that has ended meanwhile, and the release."""
    made = release(change, VALUES)
    world = WithOpenssl(registry=world_for(made).registry)
    world.place = tmp_path
    for path, text in ((FILES["chain"], LEAF + BETWEEN), (FILES["key"], in_pem(OWN_KEY))):
        world.files[path] = (text.encode(), 0o600, "root", "root")
    assert applied(world, made, secrets=secrets).code == 0
    world.has_ended = True
    return world, made


def with_files(data):
    data["sites"][0].update(certificate=FILES)


FILES = {"chain": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}
SECRETS = {"watchme": {"TLS_CHAIN": LEAF + BETWEEN, "TLS_KEY": in_pem(OWN_KEY)}}


@pytest.mark.parametrize("change", [with_own, with_files], ids=["secrets", "files"])
def test_one_that_ends_while_it_serves_holds_no_other_change_back(tmp_path, change):
    world, _ = expired(tmp_path, change, SECRETS)
    lines = []
    outcome = applied(world, release(both(change, bigger), VALUES), SECRETS, replace(JOB, say=lines.append))
    assert outcome.outcome == "applied", outcome.line
    (line,) = [line for line in lines if "certificate" in line]
    assert line.startswith(f"warning: the certificate of {NAME} (/etc/") and "has ended (" in line


def test_another_one_or_another_sites_is_refused_all_the_same(tmp_path):
    world, _ = expired(tmp_path, with_own, SECRETS)
    newer = {"watchme": {**SECRETS["watchme"], "TLS_CHAIN": LEAF + BETWEEN + ROOT}}
    assert "has ended" in applied(world, release(both(with_own, bigger), VALUES), newer).line
    assert f"({FILES['chain']}) has ended" in applied(world, release(with_files, VALUES), SECRETS).line
    world, _ = expired(tmp_path, with_files, SECRETS)
    line = applied(world, release(both(with_files, beside(certificate=FILES)), VALUES), SECRETS).line
    assert f"refused on watchme, nothing touched: the certificate of www.hey-watch.me ({FILES['chain']}) has" in line
    assert NAME not in line


def test_a_restart_or_a_deploy_of_one_service_asks_for_none(tmp_path):
    world, made = expired(tmp_path, with_own, SECRETS)
    for job in (replace(JOB, kind="restart", only=("web",)), replace(JOB, only=("web",))):
        lines = []
        job = replace(job, say=lines.append)
        outcome = (
            go_back(world, job, made.id)
            if job.restarts
            else applied(world, release(with_own, VALUES, version=2), SECRETS, job)
        )
        assert outcome.outcome == "applied", outcome.line
        assert not [line for line in lines if "certificate" in line]
        assert "openssl pkey" not in " ".join(world.ran)
