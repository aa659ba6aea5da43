"""What a site may not say, and what its words mean together."""

import pytest
from pydantic import ValidationError

from catalogue.problems import CatalogueError
from catalogue.sites import Cors, Hsts, Serving, Site
from catalogue.validation import problems_of
from tests import serving
from tests.catalogue import sites
from tests.serving import shop
from tests.support import catalogue


@pytest.mark.parametrize(("change", "said"), sites.REFUSED.values(), ids=sites.REFUSED)
def test_what_no_proxy_could_be_given_is_refused(change, said):
    with pytest.raises(ValidationError) as error:
        catalogue(change)
    found = [str(problem) for problem in problems_of(error.value, "shop.yaml", lambda path: ".".join(map(str, path)))]
    assert len(found) == 1 and said in found[0]


def refused(tmp_path, proxy, *changes, static=()):
    """What `infra check` says of the shop."""

    def changed(text: str) -> str:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return text

    try:
        shop(tmp_path, proxy, changed, dict(static))
    except CatalogueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_the_shop_itself_is_sound(tmp_path, proxy):
    assert refused(tmp_path, proxy) == ""


REACHING = {
    "another port": ("nginx", "listen 8080;", "has the directive listen"),
    "another server": ("nginx", "} server { listen 1;", "closes what it has not opened"),
    "another file": ("nginx", "location /x { include /etc/passwd; }", "has the directive include"),
    "in quotes": ("nginx", "\"include\" '/etc/passwd';", "has the directive include"),
    "behind a comment": ("nginx", "# a { comment\ninclude x;", "has the directive include"),
    "a block that stays open": ("nginx", "location /x {", "a { is not closed"),
    "a file of Caddy's": ("caddy", "handle /x {\n import /etc/passwd\n}", "has the directive import"),
    "a listener of Caddy's": ("caddy", "bind 0.0.0.0", "has the directive bind"),
    "another site of Caddy's": ("caddy", "}\nother.example {", "closes what it has not opened"),
}
STAYING = {
    "a word in a text": ("nginx", 'location /x { return 200 "include listen; }"; }'),
    "a variable": ("nginx", 'location /x { return 200 "${host}"; add_header X ${host}; }'),
    "nothing": ("nginx", "# nothing yet\n"),
    "a matcher of Caddy's": ("caddy", "@x path /x\nheader @x X-Y {host}\n"),
}


@pytest.mark.parametrize(("proxy", "text", "said"), REACHING.values(), ids=REACHING)
def test_what_is_written_by_hand_reaches_no_further_than_its_site(tmp_path, proxy, text, said):
    name = "shop/snippet.conf" if proxy == "nginx" else "shop/snippet.caddy"
    found = refused(tmp_path, proxy, static={name: text})
    assert said in found and f"files/static/{name}" in found


@pytest.mark.parametrize(("proxy", "text"), STAYING.values(), ids=STAYING)
def test_what_concerns_the_site_alone_is_taken(tmp_path, proxy, text):
    name = "shop/snippet.conf" if proxy == "nginx" else "shop/snippet.caddy"
    assert refused(tmp_path, proxy, static={name: text}) == ""


def test_limits_of_clients_are_nginxs(tmp_path):
    limited = ("    access_log: false\n", "    rate: {requests: 5}\n    connections: 10\n")
    assert refused(tmp_path, "nginx", limited) == ""
    assert "rate and connections on host box, whose proxy is Caddy, which has none" in refused(
        tmp_path, "caddy", limited
    )


def test_a_fallback_is_one_of_its_files(tmp_path):
    found = refused(tmp_path, "nginx", ("fallback: index.html", "fallback: none.html"))
    assert "fallback none.html is not in files/static/shop/web/" in found


def test_an_authority_is_a_certificate(tmp_path):
    found = refused(tmp_path, "nginx", ("    compress: true\n", "    client_ca: shop/404.html\n"))
    assert "client_ca files/static/shop/404.html has no certificate" in found


def test_a_password_is_no_longer_than_a_proxy_reads(tmp_path, monkeypatch):
    monkeypatch.setitem(serving.SECRETS["shop"], "ALICE", "é" * 37)
    found = refused(tmp_path, "nginx")
    assert "longer than 72 bytes" in found and "é" not in found


def test_a_route_has_its_own_word_or_its_sites():
    site = Site(name="a.example.com", max_body="1m", timeout=5, headers={"X-A": "1", "X-B": "2"}, basic_auth={"u": "P"})
    own = Serving(timeout=9, headers={"x-a": "3"}, basic_auth={}).over(site)
    assert (own.max_body, own.timeout, own.headers) == ("1m", 9, {"X-B": "2", "x-a": "3"})
    assert not own.is_guarded and Serving().over(site).is_guarded


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, Hsts().value), (False, None), ({"max_age": 5, "preload": True}, "max-age=5; preload")],
)
def test_hsts_is_said_in_one_word_or_in_full(given, value):
    found = Site.model_validate({"name": "a.example.com", "hsts": given}).all_headers
    assert found.get("Strict-Transport-Security") == value


def test_cors_is_said_in_one_word_or_in_full():
    assert Site.model_validate({"name": "a.example.com", "cors": ["GET"]}).cors == Cors(methods=["GET"])
    assert Serving.model_validate({"cors": False}).cors == Cors(methods=[])
