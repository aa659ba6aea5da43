"""A shop's sites that say all that sites can, rendered for a proxy, and that proxy in a container of a lab's machine
image without any network: what it answers is the real program's word."""

import copy
import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from agent.desired_state import desired_files
from catalogue.checks import ensure_valid
from catalogue.loading import Catalogue, load
from catalogue.stack import stack_from
from components.release import secrets_for
from lab import machine
from rendering.archive import build
from rendering.host import render
from tests.support import PROD
from tests.system.on import until

NAME, ALIAS, OLD, GUARDED = (f"{name}.hey-watch.me" for name in ("shop", "store", "www", "members"))
STATIC = {
    "shop/web/index.html": "<h1>shop</h1>",
    "shop/web/app.js": "shop()",
    "shop/web/app.js.gz": "compressed",
    "shop/web/sub/index.html": "<h1>sub</h1>",
    "shop/web/app.mjs": "module",
    "shop/404.html": "<h1>nothing here</h1>",
    "shop/503.html": "<h1>back soon</h1>",
    "shop/work.html": "<h1>being rebuilt {{now}}</h1>",
    "shop/snippet.conf": "location = /by-hand { return 200 hand; }\n",
    "shop/snippet.caddy": "handle /by-hand {\n respond hand 200\n}\n",
}
SHOP = """\
system: shop
document: README.md
sites:
  - name: shop.hey-watch.me
    cors: {methods: [GET, POST], origins: [https://a.example, https://b.example], credentials: true, max_age: 600}
    headers: {X-Frame-Options: DENY, X-Site: "yes"}
    hsts: {max_age: 60, include_subdomains: true}
    compress: true
    error_pages: {"404": shop/404.html, "503": shop/503.html}
    closed: [/internal/, "/secret*"]
    snippet: {nginx: shop/snippet.conf, caddy: shop/snippet.caddy}
    redirects:
      - {public: /old, to: /new/}
      - {public: /was/, to: /api/, status: 308}
      - {public: /away/, to: "https://other.example/x/", status: 302}
      - {public: /store, to: "https://store.hey-watch.me/a"}
      - {public: /gone/, to: /, status: 302}
    static:
      - {public: /, source: shop/web, fallback: index.html, max_age: 3600, precompressed: true}
      - {public: /files/, source: shop/web, headers: {X-Own: "a b"}}
      - {public: /kept/, source: shop/web, max_age: 31536000}
      - {public: /shared/, source: shop/web, cors: [GET]}
      - {public: /docs/, directory: /srv/shop/docs, deny: [127.0.0.2/32]}
  - name: store.hey-watch.me
    alias_of: shop.hey-watch.me
  - name: www.hey-watch.me
    redirects: [{public: /, to: "https://shop.hey-watch.me/"}]
    maintenance: {retry_after: 120}
  - name: members.hey-watch.me
    basic_auth: {alice: ALICE, bob: BOB}
    max_body: 1k
    maintenance: {page: shop/work.html}
    access_log: false
    hsts: false
services:
  - name: web
    kind: compose
    purpose: What people see
    image: {repository: shop-web}
    port: 8040
    health: /health
    routes:
      - {public: /api/, site: shop.hey-watch.me, headers: {X-Frame-Options: SAMEORIGIN}, request_headers: {X-From: "the $proxy", X-Gone: ""}}
      - {public: /plain/, site: shop.hey-watch.me, cors: false, connect_timeout: 2, timeout: 30, buffering: true}
      - {public: /admin/, site: shop.hey-watch.me, allow: [127.0.0.1/32], cors: false}
      - {public: /both/, site: shop.hey-watch.me, basic_auth: {alice: ALICE}, allow: [127.0.0.1/32]}
      - {public: /asks/, site: shop.hey-watch.me, forward_auth: {service: gate, path: /verify, headers: [X-User, X-Role]}}
      - {public: /gone-gate/, site: shop.hey-watch.me, forward_auth: {service: away, path: /}}
      - {public: /health, site: shop.hey-watch.me}
      - {public: /six/, site: shop.hey-watch.me, allow: ["2001:db8::/32"]}
      - {public: /large/, site: shop.hey-watch.me, cors: false, max_body: 200m, timeout: 180, connect_timeout: 180}
      - {public: /stalls/, site: shop.hey-watch.me, read_timeout: 2, send_timeout: 20}
      - {public: /whole/, site: shop.hey-watch.me, request_buffering: true}
      - {public: /stream/, site: shop.hey-watch.me, request_buffering: false}
      - {public: /, site: members.hey-watch.me}
      - {public: /open/, site: members.hey-watch.me, basic_auth: {}}
    memory: {limit: 256m}
  - name: gate
    kind: compose
    purpose: Who may come in
    image: {repository: shop-gate}
    port: 8041
    health: tcp
    memory: {limit: 64m}
  - name: away
    kind: compose
    purpose: One that is being restarted
    image: {repository: shop-web}
    port: 8042
    health: tcp
    routes: [{public: /away-now/, site: shop.hey-watch.me}]
    memory: {limit: 64m}
"""
LIMITS = """\
    rate: {requests: 1, per: minute, burst: 2}
"""
SECRETS = {"shop": {"ALICE": "correct horse", "BOB": "b$b:1"}}
# Answers with what it got; the gate lets in who says so, as the user that was asked for. /events goes on once /go was
# asked for, /slow takes 3 seconds, /stall stops in the middle for 8
SERVER = r"""
import json, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
go = threading.Event()
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status, kind = 200, self.path.split("/")[-1]
        if self.headers.get("Upgrade") == "websocket":
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            self.wfile.write(self.request.recv(100).upper())
            self.close_connection = True
            return
        if kind in ("events", "stall"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.wfile.flush()
            go.wait(30) if kind == "events" else time.sleep(8)
            go.clear()
            self.wfile.write(b"data: second\n\n")
            return
        if kind == "go":
            go.set()
        if kind == "slow":
            time.sleep(3)
        if self.path.startswith("/verify"):
            status = 204 if self.headers.get("X-Pass") == "yes" else 401
        if self.path.endswith("/missing"):
            status = 404
        begin, length = time.monotonic(), int(self.headers.get("Content-Length") or 0)
        rest = length
        while rest and (part := self.rfile.read(min(rest, 1 << 20))):
            rest -= len(part)
        waited = round(time.monotonic() - begin)
        body = b"" if status == 204 else json.dumps({"path": self.path, "method": self.command, "headers": dict(self.headers.items()), "bytes": length - rest, "waited": waited}).encode()
        self.send_response(status)
        if status == 204:
            self.send_header("X-User", "alice")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_OPTIONS = do_PUT = do_GET
    def log_message(self, *_): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
# Asks for a WebSocket by HTTP/1.1, says hello and prints all that comes back
SOCKET = r"""
import socket, ssl, sys
name, path = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
talk = context.wrap_socket(socket.create_connection(("127.0.0.1", 443), 20), server_hostname=name)
talk.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
got = b""
while b"\r\n\r\n" not in got:
    got += talk.recv(1000)
talk.sendall(b"hello")
while not got.endswith(b"HELLO") and (part := talk.recv(1000)):
    got += part
print(got.decode(), end="")
"""

Texts = Mapping[str, str]


def shop(root: Path, proxy: str, change=lambda text: text, static: Texts = MappingProxyType({})) -> Catalogue:
    """The project below `root` on a host with this proxy, with other texts in its `static` files. Raises CatalogueError
    for what `infra check` refuses."""
    return ensure_valid(described(root, proxy, change, static))


def described(
    root: Path,
    proxy: str,
    change=lambda text: text,
    static: Texts = MappingProxyType({}),
    systems=("shop",),
    secrets=(),
) -> Catalogue:
    """The same, whatever the rules say, with other `systems` on the host and more `secrets`."""
    for name, text in {**STATIC, **static}.items():
        path = root / "files/static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "files/systems").mkdir(parents=True, exist_ok=True)
    (root / "files/alerts.yaml").write_text("[]")
    (root / "files/systems/shop.yaml").write_text(change(SHOP))
    host = {**PROD["infra:hosts"]["watchme"], "systems": [*systems], "proxy": proxy}
    given = {
        "infra:hosts": {"box": host},
        "infra:secrets": {**SECRETS, **dict(secrets)},
        "infra:names": {},
        "infra:adminCidrs": ["127.0.0.3/32"],
    }
    return load(root, stack_from("prod", {**copy.deepcopy(PROD), **given}, "Pulumi.prod.yaml"))


@dataclass(frozen=True)
class Answer:
    """What curl got: the last status, its headers in lower case, its body."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def got(self) -> dict:
        return json.loads(self.body)


def answer_of(said: str) -> Answer:
    """What `curl -i` printed."""
    head, _, body = said.replace("\r\n", "\n").partition("\n\n")
    while head.startswith("HTTP/1.1 100"):
        head, _, body = body.partition("\n\n")
    first, *lines = head.split("\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


@dataclass(frozen=True)
class Proxy:
    kind: str
    container: str

    def run(self, *argv: str, stdin: bytes = b"") -> str:
        """Raises AssertionError with what was said."""
        ran = subprocess.run(
            ["docker", "exec", "-i", self.container, *argv], input=stdin, capture_output=True, timeout=60, check=False
        )
        assert ran.returncode == 0, (argv, ran.stdout, ran.stderr)
        return ran.stdout.decode(errors="replace")

    def attempt(self, *argv: str) -> str:
        """What a command said, however it ended."""
        ran = subprocess.run(["docker", "exec", self.container, *argv], capture_output=True, timeout=60, check=False)
        return ran.stdout.decode(errors="replace")

    def answers(self) -> bool:
        ran = subprocess.run(["docker", "exec", self.container, "curl", "-sk", "--resolve", f"{NAME}:443:127.0.0.1", f"https://{NAME}/"],
                             capture_output=True, check=False, timeout=60)  # fmt: skip
        return ran.returncode == 0

    def events(self, path: str, *options: str) -> Answer:
        """A stream of events, of which the service sends the second once the first has arrived here."""
        curl = ["curl", "-skN", "-i", "--max-time", "25", "--resolve", f"{NAME}:443:127.0.0.1", *options]
        words = " ".join(f"'{word}'" for word in curl)
        script = (
            f"{words} 'https://{NAME}{path}events' > /tmp/events & for _ in $(seq 100); do grep -q first /tmp/events &&"
            f" break; sleep 0.1; done; {words} 'https://{NAME}{path}go' > /dev/null; wait; cat /tmp/events"
        )
        return answer_of(self.run("sh", "-c", script))

    def socket(self, path: str, *options: str) -> Answer:
        """A WebSocket: what comes back of the word hello."""
        return answer_of(self.run("python3", "-c", SOCKET, NAME, f"{path}socket"))

    def ask(self, path: str, *options: str, name: str = NAME, source: str = "127.0.0.1") -> Answer:
        """One request from an address of the container's own."""
        said = self.run(
            "curl", "-sk", "-i", "--max-time", "20", "--interface", source, "--resolve", f"{name}:443:127.0.0.1",
            "--path-as-is", *options, f"https://{name}{path}",
        )  # fmt: skip
        return answer_of(said)


def put(proxy: Proxy, made: Catalogue) -> None:
    """The proxy's own files of a release, with its secrets, and a certificate for each name."""
    host = render(made, "box")
    release, sent = build(host), secrets_for(made, "box", {})
    contents = {f"files{file.path}": file.content for file in host.files}
    files = desired_files(release.manifest, contents, sent)
    places = ("/etc/nginx/", "/etc/caddy/", "/var/www/")
    names = [site.name for site in made.systems["shop"].sites]
    proxy.run("sh", "-c", "rm -rf /etc/caddy/sites /etc/nginx/sites-enabled/* /etc/nginx/sites-available/*")
    script = ["set -e"]
    for file in files:
        if file.path.startswith(places):
            proxy.run("sh", "-c", f"mkdir -p $(dirname '{file.path}') && cat > '{file.path}'", stdin=file.content)
            script.append(
                f"chmod {file.mode:o} '{file.path}'; chown {file.owner}:{file.group or file.owner} '{file.path}'"
            )
    for link in release.manifest["links"]:
        if link["path"].startswith(places):
            script.append(f"mkdir -p $(dirname {link['path']}); ln -sfn {link['target']} {link['path']}")
    for name in names:
        live = f"/etc/letsencrypt/live/{name}"
        script.append(
            f"mkdir -p {live}; [ -e {live}/privkey.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
            f" -nodes -days 2 -subj /CN={name} -keyout {live}/privkey.pem -out {live}/fullchain.pem 2>/dev/null"
        )
    script.append("chmod -R a+rX /etc/letsencrypt")
    proxy.run("sh", "-c", "\n".join(script))


@contextmanager
def serving(made: Catalogue, kind: str) -> Iterator[Proxy]:
    """The proxy of a release, with the shop's services behind it; all of it ends with the container."""
    name = f"infra-test-{kind}-{uuid.uuid4().hex[:8]}"
    image = machine.base_image("host")
    subprocess.run(
        ["docker", "run", "--detach", "--rm", "--network", "none", "--name", name, image, "sleep", "1200"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    proxy = Proxy(kind, name)
    try:
        put(proxy, made)
        proxy.run("sh", "-c", "truncate -s 150M /tmp/large; truncate -s 201M /tmp/larger; mkdir -p /srv/shop/docs /run/infra/maintenance /var/lib/caddy; chown caddy /var/lib/caddy"
                  "; echo page > /srv/shop/docs/page.txt; echo no > /srv/shop/docs/.secret; mkdir /srv/shop/docs/.well-known; echo known > /srv/shop/docs/.well-known/x.txt; echo no > /srv/shop/docs/.well-known/.env; cat > /tmp/server.py", stdin=SERVER.encode())  # fmt: skip
        for port in (8040, 8041):
            subprocess.run(
                ["docker", "exec", "-d", name, "python3", "/tmp/server.py", str(port)], check=True, timeout=60
            )
        if kind == "nginx":
            proxy.run("nginx", "-t")
            proxy.run("nginx")
        else:
            proxy.run("caddy", "validate", "--config", "/etc/caddy/Caddyfile")
            # `caddy start` ends with the command that started it
            running = "caddy run --config /etc/caddy/Caddyfile > /tmp/caddy.log 2>&1"
            subprocess.run(["docker", "exec", "-d", name, "sh", "-c", running], check=True, timeout=60)
            until("Caddy", lambda: proxy.answers())
        yield proxy
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False, timeout=60)
