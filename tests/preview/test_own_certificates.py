"""A certificate from secrets in a preview: the same text before and after, and no value in it."""

from agent import contents
from infra.preview.snapshot import host_of
from tests.agent.fake import FakeWorld
from tests.agent.releases import applied, release, world_for
from tests.catalogue.changes import configured
from tests.catalogue.sites import saying
from tests.support import catalogue

OWN = saying(certificate={"chain_secret": "TLS_CHAIN", "key_secret": "TLS_KEY"})
VALUES = configured(secrets={"watchme": {"TLS_CHAIN": "[encrypted]", "TLS_KEY": "[encrypted]"}})
PATH = "/etc/nginx/certificates/watchme-TLS_KEY.pem"


def test_what_a_host_has_is_no_difference(monkeypatch):
    monkeypatch.setattr("agent.own_certificates.check", lambda *_: None)
    made = release(OWN, VALUES)
    world: FakeWorld = world_for(made)
    assert applied(world, made, secrets={"watchme": {"TLS_CHAIN": "a\nb=c", "TLS_KEY": "k\ne=y"}}).code == 0
    there = contents.contents(world)["files"][PATH]
    here = host_of(catalogue(OWN, VALUES), "watchme", {}, b"key")["files"][PATH]
    assert there == here and there.startswith("# TLS_KEY of watchme\n[secret ") and "e=y" not in there
    _, mode, owner, group = world.files[PATH]
    world.files[PATH] = (b"# TLS_KEY of watchme\nanother\nk=x\n", mode, owner, group)
    edited = contents.contents(world)["files"][PATH]
    assert edited == "# TLS_KEY of watchme\n[another value, not shown]\n"
