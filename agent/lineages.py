"""certbot's own files of a certificate: `renewal/NAME.conf` says how it is renewed, `live/NAME/` has links into
`archive/NAME/`. Where one of them is damaged certbot renews nothing, and makes a NAME-0001 when it is asked again."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from agent.world import World

HOME = "/etc/letsencrypt"
PARTS = ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem")
PARAMETERS = ("account", "authenticator", "server")
OF_ACCOUNT = ("private_key.json", "regr.json")
DAMAGED = "damaged"


def renewal(name: str) -> str:
    return f"{HOME}/renewal/{name}.conf"


def places(name: str) -> list[str]:
    """All that certbot keeps of a certificate."""
    return [renewal(name), f"{HOME}/live/{name}", f"{HOME}/archive/{name}"]


def links(name: str) -> list[str]:
    return [f"{HOME}/live/{name}/{part}" for part in PARTS]


def exists(world: World, name: str) -> bool:
    return any(world.exists(path) for path in places(name))


def server(world: World, name: str) -> str:
    """The ACME directory that a certificate comes from; "" where that is not known."""
    return _settings(world, name).get("server", "")


def way(world: World, name: str) -> tuple[str, str]:
    """How certbot proves a name at renewals: its plugin, and the hook that it runs ("" for none)."""
    settings = _settings(world, name)
    return settings.get("authenticator", ""), settings.get("manual_auth_hook", "")


def fault(world: World, name: str) -> str:
    """Why certbot cannot renew a certificate; "" where it can."""
    path = renewal(name)
    settings = _settings(world, name)
    if not settings:
        return f"{path} is {'empty' if world.exists(path) else 'missing'}"
    needed = [*(part.removesuffix(".pem") for part in PARTS), *PARAMETERS]
    if missing := [key for key in needed if not settings.get(key)]:
        return f"{path} has no {missing[0]}"
    for part, link in zip(PARTS, links(name)):
        if settings[part.removesuffix(".pem")] != link:
            return f"{path} does not name {link}"
        found = world.entry(link)
        if found.kind == "absent":
            return f"{link} is missing"
        if found.kind != "link":
            return f"{link} is no link into {HOME}/archive"
        target = re.fullmatch(rf"(?:\.\./\.\.|{HOME})/archive/({re.escape(name)}/[^/]+)", found.target)
        if not target or not world.exists(f"{HOME}/archive/{target[1]}"):
            return f"{link} leads to {found.target}, which is not there"
        if not world.head(f"{HOME}/archive/{target[1]}", 1):
            return f"{HOME}/archive/{target[1]} is empty"
    return _accounts_fault(world, settings["server"], settings["account"])


def _accounts_fault(world: World, server: str, account: str) -> str:
    """Why certbot cannot log in to an authority as the account of a renewal file; "" where it can."""
    address = urlsplit(server)
    place = f"{HOME}/accounts/{address.netloc}{address.path}".rstrip("/")
    # certbot takes over what it has of the first version of this authority's protocol
    older = place.replace("/acme-v02.", "/acme-v01.").replace("/acme-staging-v02.", "/acme-staging.")
    own = next((f"{at}/{account}" for at in (place, older) if world.exists(f"{at}/{account}/{OF_ACCOUNT[0]}")), "")
    for file in OF_ACCOUNT:
        path = f"{own or f'{place}/{account}'}/{file}"
        found = world.entry(path)
        if found.kind != "file":
            return f"{path} is missing"
        try:
            if not isinstance(json.loads(found.content), dict):
                return f"{path} is damaged"
        except (ValueError, RecursionError):
            return f"{path} is {'damaged' if found.content.strip() else 'empty'}"
    return ""


def _settings(world: World, name: str) -> dict[str, str]:
    """What the renewal file says, sections aside; nothing where there is no file, or none that can be read."""
    found = world.entry(renewal(name))
    if found.kind != "file":
        return {}
    lines = found.content.decode(errors="replace").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith(("#", "[")))
    return {key.strip(): value.strip() for key, value in pairs}


def set_aside(world: World, entries: list[dict[str, Any]]) -> list[str]:
    """Moves damaged files out of certbot's sight; their new names."""
    for entry in entries:
        world.rename_tree(entry["path"], entry["aside"])
    return [entry["aside"] for entry in entries]


def asides(world: World, name: str) -> list[dict[str, Any]]:
    """Entries of a transaction for `set_aside`: where each thing of a certificate is going to be."""
    there = [path for path in places(name) if world.exists(path)]
    return [{"path": path, "kind": "aside", "aside": _free(world, path), "slot": False} for path in there]


def _free(world: World, path: str) -> str:
    number = 1
    while world.exists(f"{path}.{DAMAGED}-{number}"):
        number += 1
    return f"{path}.{DAMAGED}-{number}"
