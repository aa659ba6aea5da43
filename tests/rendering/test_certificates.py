"""Which certificate a site has: its own, one for all names beside it, files of the host."""

import pytest

from catalogue.checks import check
from rendering.host import render
from rendering.proofs import proved_names, records
from tests.support import catalogue

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
def test_one_for_all_names_beside_it(proxy):
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


def test_sites_share_one():
    beside = {"name": "blog.hey-watch.me", "certificate": "wildcard", "alias_of": "api.hey-watch.me"}
    plain = {"name": "www.hey-watch.me", "alias_of": "api.hey-watch.me"}
    made = catalogue(lambda data: (data["sites"][0].update(WILD), data["sites"].extend([beside, plain])))
    names = [item.name for item in render(made, "watchme").certificates]
    assert names == ["_wildcard.hey-watch.me", "www.hey-watch.me"]
    assert not [problem for problem in check(made) if problem.level == "error"]
