"""Which certificate a site has: its own, one for all names beside it, files of the host."""

import pytest

from catalogue.checks import check
from components.release import secrets_for
from infra import secret
from infra.errors import InfraError
from rendering.host import render
from rendering.proofs import proved_names, records
from tests.support import catalogue

PEM_CHAIN = "-----BEGIN CERTIFICATE-----\nMIIBTjCB9KAD\n-----END CERTIFICATE-----\n"
PEM_KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"
ENCRYPTED_KEY = PEM_KEY.replace("EC PRIVATE", "ENCRYPTED PRIVATE")
WILD = {"certificate": "wildcard"}
FILES = {"certificate": {"chain": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}}


def rendered(change, proxy="nginx", config=lambda config: None):
    def configured(values):
        values["infra:hosts"]["watchme"]["proxy"] = proxy
        config(values)

    made = catalogue(lambda data: data["sites"][0].update(change), configured)
    return made, render(made, "watchme")


def site_of(files):
    (content,) = [f.content.decode() for f in files.files if "api.hey-watch.me" in f.path and "sites" in f.path]
    return content


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_wildcard_certificate_covers_the_names_of_its_domain(proxy):
    made, files = rendered(WILD, proxy)
    (item,) = files.certificates
    assert (item.name, item.domain) == ("_wildcard.hey-watch.me", "*.hey-watch.me")
    assert "/etc/letsencrypt/live/_wildcard.hey-watch.me/fullchain.pem" in site_of(files)
    assert proved_names(made, "watchme") == ["hey-watch.me"] and records(made, "watchme") == [
        "_acme-challenge.hey-watch.me"
    ]
    assert not [problem for problem in check(made) if problem.level == "error"]


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_files_of_the_host_need_no_authority(proxy):
    made, files = rendered(FILES, proxy)
    assert files.certificates == [] and proved_names(made, "watchme") == []
    assert "/etc/ssl/shop.pem" in site_of(files) and "letsencrypt" not in site_of(files)
    assert {"/etc/ssl/shop.pem", "/etc/ssl/shop.key"} <= {entry.path for entry in files.requirements}
    assert files.names == ["api.hey-watch.me"], "its end is looked at like any other's"


def test_sites_share_a_wildcard_certificate():
    beside = {"name": "blog.hey-watch.me", "certificate": "wildcard", "alias_of": "api.hey-watch.me"}
    plain = {"name": "www.hey-watch.me", "alias_of": "api.hey-watch.me"}
    made = catalogue(lambda data: (data["sites"][0].update(WILD), data["sites"].extend([beside, plain])))
    names = [item.name for item in render(made, "watchme").certificates]
    assert names == ["_wildcard.hey-watch.me", "www.hey-watch.me"]
    assert not [problem for problem in check(made) if problem.level == "error"]


SECRETS = {"certificate": {"chain_secret": "TLS_CHAIN", "key_secret": "TLS_KEY"}}


@pytest.mark.parametrize(("proxy", "mode", "group"), [("nginx", 0o600, "root"), ("caddy", 0o640, "caddy")])
def test_one_of_secrets_lies_where_its_proxy_reads_it_and_is_in_no_file_of_the_release(proxy, mode, group):
    values = {"watchme": {"TLS_CHAIN": PEM_CHAIN, "TLS_KEY": PEM_KEY}}
    made, files = rendered(SECRETS, proxy, lambda config: config.update({"infra:secrets": values}))
    chain, key = (f"/etc/{proxy}/certificates/watchme-TLS_{part}.pem" for part in ("CHAIN", "KEY"))
    assert files.certificates == [] and proved_names(made, "watchme") == []
    assert chain in site_of(files) and key in site_of(files)
    own = {file.path: file for file in files.environment_files}
    assert (own[key].mode, own[key].group, own[key].secrets) == (
        mode,
        group,
        {"# TLS_KEY of watchme": "watchme/TLS_KEY"},
    )
    assert [(item.name, item.chain, item.key) for item in files.own_certificates] == [("api.hey-watch.me", chain, key)]
    assert not any(b"MHcC" in file.content for file in files.files)
    assert not [problem for problem in check(made) if problem.level == "error"]
    sent = secrets_for(made, "watchme", {})["watchme"]
    assert sent == {"TLS_CHAIN": PEM_CHAIN, "TLS_KEY": PEM_KEY}


def test_sites_share_one_of_secrets():
    beside = {"name": "blog.hey-watch.me", "alias_of": "api.hey-watch.me", **SECRETS}
    made = catalogue(lambda data: (data["sites"][0].update(SECRETS), data["sites"].append(beside)))
    files = render(made, "watchme")
    assert len([file for file in files.environment_files if "/certificates/" in file.path]) == 2
    assert [item.name for item in files.own_certificates] == ["api.hey-watch.me", "blog.hey-watch.me"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "secret TLS_CHAIN of a site's certificate is missing"),
        ({"TLS_CHAIN": "x", "TLS_KEY": PEM_KEY}, "is no certificate in PEM"),
        ({"TLS_CHAIN": PEM_CHAIN + PEM_KEY, "TLS_KEY": PEM_KEY}, "has a private key beside the certificate"),
        ({"TLS_CHAIN": PEM_CHAIN, "TLS_KEY": PEM_CHAIN}, "is not one private key in PEM"),
        ({"TLS_CHAIN": PEM_CHAIN, "TLS_KEY": ENCRYPTED_KEY}, "needs a passphrase"),
    ],
)
def test_a_secret_that_is_no_certificate_is_named_without_its_value(values, words):
    made, _ = rendered(SECRETS, config=lambda config: config.update({"infra:secrets": {"watchme": values}}))
    lines = [problem.message for problem in check(made) if problem.level == "error"]
    assert any(words in line for line in lines), lines
    assert not any("MHcC" in line or "MIIB" in line for line in lines)


def test_a_secret_in_pem_is_set_from_a_file():
    assert secret.form_of(rendered(SECRETS)[0], "watchme", "TLS_KEY") == "pem"
    secret.check("watchme", "TLS_KEY", PEM_KEY, "pem")
    with pytest.raises(InfraError, match="neither certificates nor a private key"):
        secret.check("watchme", "TLS_KEY", "hunter2", "pem")
    with pytest.raises(InfraError, match="a line break"):
        secret.check("watchme", "TLS_KEY", PEM_KEY)
