"""Sites behind a CDN and sites with HTTP/3, held against the real proxies of a lab's machine image. One that is too old
for it refuses its configuration before anything is switched: then that is what is held."""

import re

import pytest

from lab import machine
from tests.rows import rows
from tests.serving import GUARDED, NAME, Proxy, serving, shop

pytestmark = pytest.mark.lab
# The CDN, one of its clients, another one that the site refuses, an administrator, and anyone else
CDN, CLIENT, REFUSED, ADMIN, OTHER = "127.0.0.2", "198.51.100.7", "198.51.100.9", "127.0.0.3", "127.0.0.4"
FRONTED = f"""\
    cdn: {{ranges: [{CDN}/32], only: true}}
    deny: [{REFUSED}/32]
"""
# From these versions on the proxies have it
CDN_SINCE = {"nginx": (0,), "caddy": (2, 8)}
HTTP3_SINCE = {"nginx": (1, 25), "caddy": (2, 6)}
PROXIES = rows(["nginx", "caddy"], always=["nginx"])
# Asks over UDP for a version of QUIC that there is none of: who speaks QUIC answers with those that it has (RFC 9000)
QUIC = r"""
import socket
own, theirs = b"infra-01", b"infra-02"
packet = b"\xc0" + b"\x0a\x0a\x0a\x0a" + b"\x08" + theirs + b"\x08" + own
talk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talk.settimeout(10)
talk.sendto(packet.ljust(1200, b"\0"), ("127.0.0.1", 443))
answer = talk.recv(2000)
assert answer[0] & 0x80 and answer[1:5] == bytes(4) and answer[6:14] == own, answer
print([answer[at:at + 4].hex() for at in range(23, len(answer) - 3, 4)])
"""


def with_lines(site: str, lines: str):
    return lambda text: text.replace(f"  - name: {site}\n", f"  - name: {site}\n{lines}")


def version_of(proxy: Proxy) -> tuple[int, ...]:
    said = proxy.run("sh", "-c", f"{proxy.kind} {'-v' if proxy.kind == 'nginx' else 'version'} 2>&1")
    found = re.search(r"(\d+)\.(\d+)\.\d+", said)
    assert found, said
    return tuple(int(number) for number in found.groups())


@pytest.fixture(scope="module", params=PROXIES)
def installed(request, tmp_path_factory) -> tuple[str, tuple[int, ...]]:
    """A proxy's name, and the version that the machine image has."""
    machine.ensure_base_images()
    with serving(shop(tmp_path_factory.mktemp("plain"), request.param), request.param) as proxy:
        return request.param, version_of(proxy)


def client_as_seen(proxy: Proxy, source: str, *named: str) -> str:
    """Whom the service takes for its client."""
    answer = proxy.ask("/open/x", *named, name=GUARDED, source=source)
    assert answer.status == 200, answer
    headers = answer.got["headers"]
    assert headers["X-Forwarded-For"] == headers["X-Real-Ip" if "X-Real-Ip" in headers else "X-Real-IP"]
    return headers["X-Forwarded-For"]


def test_cdn_alone_is_believed_and_let_in(tmp_path, installed):
    kind, version = installed
    made = shop(tmp_path, kind, with_lines(GUARDED, FRONTED))
    if version < CDN_SINCE[kind]:
        with pytest.raises(AssertionError, match=r"client_ip|trusted_proxies"), serving(made, kind):
            pass
        return
    with serving(made, kind) as proxy:
        assert client_as_seen(proxy, CDN, "-H", f"X-Forwarded-For: {CLIENT}") == CLIENT
        # What the client itself wrote stands before it
        assert client_as_seen(proxy, CDN, "-H", f"X-Forwarded-For: {REFUSED}, {CLIENT}") == CLIENT
        refused = proxy.ask("/open/x", "-H", f"X-Forwarded-For: {REFUSED}", name=GUARDED, source=CDN)
        assert refused.status == 403
        # Past the CDN: no one but administrators and the host, whatever they say
        for header in ((), ("-H", f"X-Forwarded-For: {CLIENT}")):
            assert proxy.ask("/open/x", *header, name=GUARDED, source=OTHER).status == 403
        assert client_as_seen(proxy, ADMIN, "-H", f"X-Forwarded-For: {REFUSED}") == ADMIN
        # Other sites of the host are open as before
        assert proxy.ask("/api/x", source=OTHER).status == 200


def test_http3_is_served_or_refused_before_the_switch(tmp_path, installed):
    kind, version = installed
    made = shop(tmp_path, kind, with_lines(NAME, "    http3: true\n"))
    if version < HTTP3_SINCE[kind]:
        with pytest.raises(AssertionError, match=r"invalid parameter \\?\"quic|http3"), serving(made, kind):
            pass
        return
    with serving(made, kind) as proxy:
        assert proxy.ask("/api/x").headers["alt-svc"] == 'h3=":443"; ma=86400'
        assert "00000001" in proxy.run("python3", "-c", QUIC)
        assert "alt-svc" not in proxy.ask("/open/x", name=GUARDED).headers or kind == "caddy"
