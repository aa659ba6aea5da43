"""What a site may not say, as a change of the catalogue."""

from typing import Any

from tests.catalogue.changes import both, configured, hosted
from tests.support import catalogue


def saying(**values: Any):
    """WatchMe's site with more."""
    return lambda data: data["sites"][0].update(values)


def beside(**values: Any):
    """A second site, and the routes on the first by its name."""

    def change(data: Any) -> None:
        data["sites"].append({"name": "www.hey-watch.me", **values})
        for service in data["services"]:
            for route in service.get("routes", []):
                route.setdefault("site", "api.hey-watch.me")

    return change


def routed(**values: Any):
    return lambda data: next(s for s in data["services"] if s["name"] == "vault-api")["routes"][0].update(values)


OPEN: dict[str, Any] = {"methods": ["GET"], "credentials": True}
# What is changed, and what the one line must say
EXAMPLES = {
    "a CDN that is the world": (saying(cdn={"ranges": ["0.0.0.0/0"]}), "site api.hey-watch.me: cdn: its ranges are all of the internet"),
    "HTTP/2 at one of two sites": (
        both(saying(http2=False), beside()),
        "site api.hey-watch.me: http2: false, but site www.hey-watch.me of host watchme has HTTP/2 at the same address and port; must be "
        "the same for all sites of a host",
    ),
    "an alias with a CDN": (beside(alias_of="api.hey-watch.me", cdn="cloudflare"), "an alias with cdn"),
    "an alias of nothing": (beside(alias_of="no.hey-watch.me"), "site www.hey-watch.me: alias_of no.hey-watch.me; must be another site of this system"),
    "an alias of itself": (beside(alias_of="www.hey-watch.me"), "alias_of www.hey-watch.me; must be another site of this system that is not an alias: api"),
    "an alias that says more": (beside(alias_of="api.hey-watch.me", cors=["GET"], closed=["/x/"]), "an alias with closed, cors"),
    "a route on an alias": (
        both(beside(alias_of="api.hey-watch.me"), routed(site="www.hey-watch.me")),
        "service vault-api: route /vault/ is on www.hey-watch.me, which is another name of api.hey-watch.me",
    ),
    "a path of two": (saying(redirects=[{"public": "/vault/", "to": "/x/"}]), "path /vault/ is service vault-api's and a redirect's"),
    "a closed path that is served": (saying(closed=["/vault/"]), "path /vault/ is service vault-api's and closed"),
    "the host's own page": (saying(closed=["/status/"]), "path /status/ is reserved for the host"),
    "the proxy's own paths": (saying(closed=["/.infra-pages/x"]), "path /.infra-pages/x is reserved for the host"),
    "round and round": (saying(redirects=[{"public": "/old/", "to": "/old/new/"}]), "redirect /old/ leads to /old/new/, which redirects in a loop"),
    "to itself": (saying(redirects=[{"public": "/old", "to": "https://api.hey-watch.me/old"}]), "which redirects in a loop"),
    "files below a page": (saying(static=[{"public": "/x", "directory": "/srv/x"}]), "static /x: public path '/x'; must be a path that ends in /"),
    "files of nothing": (saying(static=[{"public": "/x/"}]), "static /x/: has neither source nor directory"),
    "files of two": (saying(static=[{"public": "/x/", "directory": "/srv/x", "source": "x"}]), "static /x/: has both"),
    "no files": (saying(static=[{"public": "/x/", "source": "none"}]), "files/static/none/ has no file"),
    "all settings of the host": (saying(static=[{"public": "/x/", "directory": "/etc"}]), "directory /etc belongs to the host or the agent"),
    "settings of the host": (saying(static=[{"public": "/x/", "directory": "/etc/needrestart"}]), "directory /etc/needrestart belongs to the host"),
    "no page": (saying(error_pages={"404": "none.html"}), "site api.hey-watch.me: files/static/none.html is missing"),
    "no page for maintenance": (saying(maintenance={"page": "none.html"}), "site api.hey-watch.me: files/static/none.html is missing"),
    "a compression that Nginx lacks": (saying(compress=["zstd", "gzip"]), "compress with zstd on host watchme, whose proxy Nginx does not have that; gzip; or proxy: caddy of infra:hosts.watchme"),
    "an alias with maintenance": (beside(alias_of="api.hey-watch.me", maintenance={}), "an alias with maintenance"),
    "no authority": (saying(client_ca="none.pem"), "files/static/none.pem is missing"),
    "no snippet": (saying(snippet={"nginx": "none.conf"}), "files/static/none.conf is missing"),
    "a snippet for another proxy": (saying(snippet={"caddy": "none.conf"}), "its snippet is not for the proxy of host watchme, nginx"),
    "cookies for all": (saying(cors=OPEN), "cors with credentials for all origins, which browsers reject"),
    "cors and methods": (routed(cors=["GET"], methods=["GET"]), "route /vault/: has cors and methods; must have methods in cors"),
    "a gate that is not there": (saying(forward_auth={"service": "none", "path": "/"}), "forward_auth of none; must be a service of this system with a port"),
    "a look elsewhere": (routed(look="/other/"), "service vault-api: route /vault/: look: /other/; must be a public path of the route"),
    "a look where not all may look": (routed(look="/vault/x", allow=["10.0.0.0/8"]), "look: /vault/x, which is not open to every client"),
    "cors of nothing": (saying(cors={"origins": ["https://a.example"]}), "site api.hey-watch.me: cors without methods"),
    "a header of the gate's": (
        both(saying(request_headers={"x-user": "me"}), saying(forward_auth={"service": "web", "path": "/", "headers": ["X-User"]})),
        "the request header x-user is set by forward_auth, but also has a value here",
    ),
    "a user that Caddy would run": (routed(basic_auth={"import": "ALICE"}), "a user called import"),
    "preload alone": (saying(hsts={"preload": True}), "hsts with preload alone, which browsers' preload lists reject; include_subdomains: true"),
    "files of the host": (saying(static=[{"public": "/x/", "directory": "/etc/letsencrypt"}]), "directory /etc/letsencrypt belongs to the host or the agent"),
    "files with a time": (saying(static=[{"public": "/x/", "directory": "/srv/x", "timeout": 5}]), "static /x/: has timeout; must be without these fields"),
    "a password that is not set": (routed(basic_auth={"alice": "ALICE"}), "secret ALICE of basic_auth is missing; set it: infra secret set watchme.ALICE"),
}  # fmt: skip
# What a model refuses: where, what
REFUSED = {
    "a redirect with a query": (saying(redirects=[{"public": "/x", "to": "/y?a=1"}]), "an address, such as https://shop.example.com/, without ? and #"),
    "a target of another kind": (saying(redirects=[{"public": "/x", "to": "javascript:alert(1)"}]), "a path, such as /new/, or an address"),
    "a name without its scheme": (saying(redirects=[{"public": "/x", "to": "//evil.example/"}]), "a path, such as /new/, or an address"),
    "a status that redirects nothing": (saying(redirects=[{"public": "/x", "to": "/y", "status": 200}]), "redirects.0.status"),
    "a path with a space": (saying(closed=["/a b"]), "a path such as /old/ (all below it)"),
    "a path with dots": (saying(closed=["/a/../b/"]), "a path such as /old/"),
    "a path with two slashes": (saying(closed=["/a//b/"]), "a path such as /old/"),
    "an origin with a path": (saying(cors={"methods": ["GET"], "origins": ["https://a.example/x"]}), "an origin as browsers send it"),
    "an origin that would be a pattern": (saying(cors={"methods": ["GET"], "origins": ["https://.*"]}), "an origin as browsers send it"),
    "the proxy's own header": (routed(request_headers={"x-forwarded-for": "1"}), "another header: the proxy sets this one; for another Host use host"),
    "a header that the gate may not set": (saying(forward_auth={"service": "web", "headers": ["Host"]}), "another header: the proxy sets this one; for another Host use host"),
    "a gate without a service": (saying(forward_auth={"path": "/"}), "service and path of the check; or forward_auth: false for none"),
    "a user with a colon": (routed(basic_auth={"a:b": "X"}), "a user's name: letters, digits"),
    "an answer that has no page": (saying(error_pages={"500": "x.html"}), "error_pages"),
    "an address that is no network": (routed(allow=["2001:db8::1/32"]), "a network of IPv4 or IPv6, such as 198.51.100.0/24 or 2001:db8::/32"),
    "an address with more behind it": (
        routed(allow=["2001:db8::%x; return 200 injected; allow ::1"]), "a network of IPv4 or IPv6, such as 198.51.100.0/24 or 2001:db8::/32",
    ),
    "a maintenance that ends some day": (saying(maintenance={"retry_after": "soon"}), "maintenance.retry_after"),
    "no requests at all": (routed(rate={"requests": 0}), "rate.requests"),
    "addresses of IPv6 alone": (saying(ip=6), "sites.0.ip: found 6; 4 or both"),
    "a hidden page": (saying(error_pages={"404": "../x.html"}), "a relative path below its directory"),
}  # fmt: skip


def by_configuration():
    """Catalogues with a fault of sites that their stack has a part in."""
    own = {"chain_secret": "TLS_CHAIN", "key_secret": "TLS_KEY"}
    values = configured(secrets={"watchme": {"TLS_CHAIN": "x", "TLS_KEY": "x"}})
    yield catalogue(saying(certificate=own), values)
    yield catalogue(saying(ip=4), hosted(proxy="caddy"))
    yield catalogue(both(saying(cdn="cloudflare"), beside(cdn={"ranges": ["192.0.2.1"]})), hosted(proxy="caddy"))
