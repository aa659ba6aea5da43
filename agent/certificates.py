"""Certificates by ACME, obtained before the proxy is switched to them."""

import json
from typing import Any

from agent import quoting, transaction
from agent.outcome import Refused
from agent.store import STATE, Release
from agent.world import World

SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
REPLACED = f"{STATE}/certificates.json"
STAGED_BUNDLE = "/run/infra/roots.pem"
# Where every proxy serves challenges from, the one that a fresh package brings included
WEBROOT = "/var/www/html"
PARTS = ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem")
PLUGINS = {"dns-01": ["--dns-route53"], "http-01": ["--webroot", "--webroot-path", WEBROOT]}


def obtain(world: World, target: Release, identity: dict[str, str]) -> list[str]:
    """Names of the certificates that were missing and are here now. The release's own roots are trusted on top of the
    system's. Raises Refused with what the ACME client said.
    """
    missing = [item for item in target.manifest["certificates"] if not _is_here(world, item)]
    if missing:
        _issue(world, target, missing, identity)
    for item in target.manifest["certificates"]:
        if item.get("group", "root") != "root":
            _share(world, item["name"], item["group"])
    return [item["name"] for item in missing]


def remember(world: World, target: Release) -> list[dict[str, Any]]:
    """Entries of a transaction for what `obtain` is going to replace, on the disk before it does: a kill leaves them
    there, and `give_back` finds them."""
    entries = transaction.remembered_here(world, *to_be_replaced(world, target))
    if entries:
        world.write(REPLACED, json.dumps(entries).encode(), 0o600, "root", "root")
    return entries


def give_back(world: World) -> None:
    """What a preparation that came to no switch has replaced is in force again. Safe to repeat."""
    text = world.read(REPLACED)
    if text:
        transaction.put_back(world, json.loads(text))
        forget(world)


def forget(world: World) -> None:
    """The switch has begun: its transaction has the entries now."""
    if world.exists(REPLACED):
        world.remove(REPLACED)


def to_be_replaced(world: World, target: Release) -> tuple[list[str], list[str]]:
    """Of the certificates in force that `obtain` is going to replace, since another authority made them: the files that
    say how certbot renews each, and the links to what is served."""
    replaced = [
        item["name"]
        for item in target.manifest["certificates"]
        if not _is_here(world, item) and _is_in_force(world, item["name"])
    ]
    renewals = [f"/etc/letsencrypt/renewal/{name}.conf" for name in replaced]
    return renewals, [f"/etc/letsencrypt/live/{name}/{part}" for name in replaced for part in PARTS]


def _issue(world: World, target: Release, missing: list[dict[str, Any]], identity: dict[str, str]) -> None:
    roots = [file.content for file in target.files if file.path in target.manifest["trusted_roots"]]
    environment = dict(identity)
    if roots:
        # The system's own store changes only with the switch
        bundle = (world.read(SYSTEM_BUNDLE) or b"") + b"".join(roots)
        world.write(STAGED_BUNDLE, bundle, 0o644, "root", "root")
        environment["REQUESTS_CA_BUNDLE"] = STAGED_BUNDLE
    for item in missing:
        ran = world.run(*command(item), environment=environment, timeout=180)
        if ran.code != 0:
            raise Refused(f"no certificate for {item['name']} from {item['server']}: {_reason(ran.output)}")


def _share(world: World, name: str, group: str) -> None:
    """Lets a proxy that is not root read one certificate's key; certbot keeps that at renewals."""
    for directory in ("live", "archive"):
        world.directory(f"/etc/letsencrypt/{directory}", 0o750, "root", group)
    for file in world.listing(f"/etc/letsencrypt/archive/{name}"):
        if file.startswith("privkey"):
            path = f"/etc/letsencrypt/archive/{name}/{file}"
            world.run("chgrp", group, path)
            world.run("chmod", "0640", path)


def _is_here(world: World, item: dict[str, Any]) -> bool:
    """A certificate of that name from that directory: one from another directory (a staging one) does not count, nor
    one whose time is over."""
    chain = world.read(f"/etc/letsencrypt/live/{item['name']}/fullchain.pem")
    renewal = world.read(f"/etc/letsencrypt/renewal/{item['name']}.conf") or b""
    if chain is None or f"server = {item['server']}\n".encode() not in renewal:
        return False
    return _is_in_force(world, item["name"])


def _is_in_force(world: World, name: str) -> bool:
    path = f"/etc/letsencrypt/live/{name}/fullchain.pem"
    return world.exists(path) and world.run("openssl", "x509", "-noout", "-checkend", "0", "-in", path).code == 0


def command(item: dict[str, Any]) -> list[str]:
    """certbot's command line for a certificate; it is kept by certbot for the renewals."""
    return [
        "certbot", "certonly", "--non-interactive", "--agree-tos", "--force-renewal",
        "--email", item["email"], "--server", item["server"], *PLUGINS[item["challenge"]],
        "--cert-name", item["name"], "-d", item["name"],
    ]  # fmt: skip


def _reason(output: str) -> str:
    boring = ("Saving debug log", "Ask for help", "See the logfile")
    return quoting.last_lines("\n".join(line for line in output.splitlines() if not line.startswith(boring)), 3)
