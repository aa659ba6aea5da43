"""What a catalogue may ask of a third proxy: what its description in catalogue/proxies/ says, and nothing without one."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from catalogue import proxies
from catalogue.checks import check
from catalogue.proxy import Abilities, Proxy
from catalogue.sites import Site
from tests.catalogue.sites import saying
from tests.support import catalogue

ALL = Abilities(
    leads_between=True, limits_clients=True, trusts_by_site=True, families_by_site=True, http1_alone=True, ipv6=True,
    http3=True, client_ca=True, cdn=True,
)  # fmt: skip
SITE = "site api.hey-watch.me"
# What a site asks for, and what is said where the proxy cannot do it
ASKED = {
    "http3": (saying(http3=True), "http3 on host watchme, whose proxy Courier does not support that; proxy: nginx or caddy"),
    "http2": (saying(http2=False), "http2: false on host watchme, whose proxy Courier does not support that; proxy: nginx or caddy"),
    "ip": (saying(ip=4), "ip: 4 on host watchme, whose proxy Courier does not support that; proxy: nginx of infra:hosts.watchme"),
    "client_ca": (saying(client_ca="ca.pem"), "client_ca on host watchme, whose proxy Courier does not support that; proxy: nginx or caddy"),
    "cdn": (saying(cdn="cloudflare"), "cdn on host watchme, whose proxy Courier does not support that; proxy: nginx or caddy"),
    "rate": (saying(rate={"requests": 5}), "rate on host watchme, whose proxy Courier does not support that; proxy: nginx of"),
    "snippet": (saying(snippet={"nginx": "more.conf"}), "its snippet is not for the proxy of host watchme, courier; a site without snippet"),
    "ipv6": (saying(), "infra:hosts.watchme: its proxy Courier does not support IPv6; ipv6: false, or proxy: nginx or caddy"),
}  # fmt: skip


def faults(text, own):
    if "listen" in text:
        yield "has the directive listen"
    if not own.is_service("127.0.0.1:8017") or own.is_service("127.0.0.1:1"):
        yield "points to another service"
    if "turn" in text:
        yield "turns round"


def described_as(monkeypatch, description):
    monkeypatch.setattr(proxies, "NAMES", (*proxies.NAMES, "courier"))
    if description:
        monkeypatch.setitem(sys.modules, "catalogue.proxies.courier", SimpleNamespace(PROXY=description))


def problems(change, sources=None):
    """What is said of WatchMe's catalogue behind this proxy, of its sites and hosts alone."""
    made = catalogue(change)
    host = made.stack.hosts["watchme"].model_copy(update={"proxy": "courier"})
    stack = made.stack.model_copy(update={"hosts": {**made.stack.hosts, "watchme": host}})
    said = map(str, check(replace(made, stack=stack, sources={**made.sources, **(sources or {})})))
    return [line for line in said if "ourier" in line or "its snippet" in line]


@pytest.mark.parametrize(("change", "said"), ASKED.values(), ids=ASKED)
def test_proxy_without_a_description_is_refused_what_it_cannot_do(monkeypatch, change, said):
    described_as(monkeypatch, None)
    assert any(said in line for line in problems(change))


@pytest.mark.parametrize("change", [ASKED[name][0] for name in ASKED if name != "snippet"])
def test_proxy_with_abilities_may_be_asked_for_them(monkeypatch, change):
    described_as(monkeypatch, Proxy(abilities=ALL))
    assert problems(change) == []


def test_abilities_of_another_proxy_are_named_as_the_remedy(monkeypatch):
    described_as(monkeypatch, Proxy(abilities=ALL))
    assert proxies.remedy(lambda can: can.limits_clients) == "proxy: nginx or courier"
    assert proxies.remedy(lambda can: not can.takes_placeholders) == "proxy: nginx or courier"


def test_snippet_of_another_proxy_is_read_by_its_description(monkeypatch):
    rules = {"turns round": "a straight way"}
    described_as(monkeypatch, Proxy(abilities=ALL, snippet_faults=faults, snippet_rules=rules))
    change = saying(snippet={"courier": "more.conf"})
    assert problems(change, {"more.conf": b"pass\n"}) == []
    said = problems(change, {"more.conf": b"listen and turn\n"})
    assert [line.partition("its snippet ")[2].partition(" (")[0] for line in said] == [
        "has the directive listen; directives that concern this site alone, such as location, return or add_header",
        "turns round; a straight way",
    ]


def test_snippet_is_for_proxies_that_have_snippets_alone(monkeypatch):
    described_as(monkeypatch, Proxy(abilities=ALL))
    with pytest.raises(ValidationError, match="nginx or caddy, the proxies with snippets"):
        Site.model_validate({"name": "a.example", "snippet": {"courier": "more.conf"}})


def test_text_that_another_proxy_cannot_take_is_refused_in_every_catalogue(monkeypatch):
    described_as(monkeypatch, Proxy(unwritable=("^",), reserved_users=("all",)))
    with pytest.raises(ValidationError, match=r"without \^, which Courier cannot write"):
        catalogue(saying(headers={"X-Way": "a^b"}))
    said = problems(saying(basic_auth={"all": "ALL"}))
    assert any("a user called all, which Courier would read as a directive" in line for line in said)
