"""certbot's own files of a certificate: `renewal/NAME.conf` says how it is renewed, `live/NAME/` has links into
`archive/NAME/`. Where one of them is damaged certbot renews nothing, and makes a NAME-0001 when it is asked again."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from agent.documents.transaction import PathAside
from agent.wording import Phrase, phrase
from agent.world import World

HOME = "/etc/letsencrypt"
PARTS = ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem")
PARAMETERS = ("account", "authenticator", "server")
OF_ACCOUNT = ("private_key.json", "regr.json")
DAMAGED = "damaged"
SECTION = "renewalparams"
# As configobj reads them, which certbot does
KEYED = re.compile(r"""(?:"(.*?)"|'(.*?)'|([^'"=].*?))\s*=\s*(.*)""")
HEADED = re.compile(r"""(\[+)\s*(["']?)([^\s\[\]"'][^\[\]"']*?)\2\s*(\]+)\s*(?:#.*)?""")
QUOTED = re.compile(r"""(?:"([^"]*)"|'([^']*)')\s*(?:#.*)?""")
LONG_QUOTES = ('"""', "'''")
ON = ("true", "yes", "on", "1")


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
    sections, broken = _sections(world, name)
    if not any(sections.values()):
        return _empty(path) if world.exists(path) else _missing(path)
    if broken:
        return phrase("{path} {broken}", path=path, broken=broken)
    files, settings = sections[""], sections.get(SECTION)
    if missing := [key for key in (part.removesuffix(".pem") for part in PARTS) if not files.get(key)]:
        is_below = _settings(world, name).get(missing[0])
        form = "{path} has no {key} above its sections" if is_below else "{path} has no {key}"
        return phrase(form, path=path, key=missing[0])
    if settings is None:
        return phrase("{path} has no section [{section}]", path=path, section=SECTION)
    if missing := [key for key in PARAMETERS if not settings.get(key)]:
        return phrase("{path} has no {key} in [{section}]", path=path, key=missing[0], section=SECTION)
    return (
        _files_fault(world, name, files)
        or _accounts_fault(world, settings["server"], settings["account"])
        or _ways_fault(world, path, settings)
    )


def _missing(path: str) -> Phrase:
    return phrase("{path} is missing", path=path)


def _empty(path: str) -> Phrase:
    return phrase("{path} is empty", path=path)


def _damage(path: str) -> Phrase:
    return phrase("{path} is damaged", path=path)


def _files_fault(world: World, name: str, files: dict[str, str]) -> str:
    """What is wrong with a lineage's files, by its renewal file's keys for them."""
    numbers: dict[str, str] = {}
    for part, link in zip(PARTS, links(name)):
        key = part.removesuffix(".pem")
        if files[key] != link:
            return phrase("{path} does not name {link}", path=renewal(name), link=link)
        entry = world.entry(link)
        if entry.kind == "absent":
            return _missing(link)
        if entry.kind != "link":
            return phrase("{path} is not a link into {place}", path=link, place=f"{HOME}/archive")
        target = re.fullmatch(rf"(?:\.\./\.\.|{HOME})/archive/({re.escape(name)}/[^/]+)", entry.target)
        if not target or not world.exists(f"{HOME}/archive/{target[1]}"):
            return phrase("{path} is a link to {target}, which does not exist", path=link, target=entry.target)
        if not world.head(f"{HOME}/archive/{target[1]}", 1):
            return _empty(f"{HOME}/archive/{target[1]}")
        number = re.fullmatch(rf"{re.escape(name)}/{key}([0-9]+)\.pem", target[1])
        if not number:
            return phrase(
                "{path} is a link to {target}, which is not named {key}NUMBER.pem",
                path=link,
                target=entry.target,
                key=key,
            )
        numbers[link] = number[1]
    first = next(iter(numbers))
    if others := [link for link, number in numbers.items() if number != numbers[first]]:
        return phrase(
            "{path} is a link to number {number}, but {other} to number {another}",
            path=others[0], number=numbers[others[0]], other=first, another=numbers[first],
        )  # fmt: skip
    return ""


def _ways_fault(world: World, path: str, settings: dict[str, str]) -> str:
    """Why certbot does not renew by itself what it could."""
    if settings.get("autorenew", "true").lower() not in ON:
        return phrase("{path} has an autorenew other than True: certbot does not renew it", path=path)
    plugin = settings["authenticator"]
    if plugin == "manual" and settings.get("manual_auth_hook", "None") in ("", "None"):
        return phrase(
            "{path} has authenticator = manual without manual_auth_hook: a person would have to complete the challenge",
            path=path,
        )
    port = settings.get("http01_port", "None")
    # What runs before may free the port for it
    is_freed = settings.get("pre_hook", "None") not in ("", "None") or world.listing(f"{HOME}/renewal-hooks/pre")
    if plugin == "standalone" and port in ("None", "80") and not is_freed:
        return phrase(
            "{path} has authenticator = standalone, which needs port 80, but the proxy uses that port", path=path
        )
    return ""


def _accounts_fault(world: World, server: str, account: str) -> str:
    """Why certbot cannot log in to an authority as the account of a renewal file; "" where it can."""
    address = urlsplit(server)
    place = f"{HOME}/accounts/{address.netloc}{address.path}".rstrip("/")
    # certbot takes over what it has of the first version of this authority's protocol
    older = place.replace("/acme-v02.", "/acme-v01.").replace("/acme-staging-v02.", "/acme-staging.")
    own = next((f"{at}/{account}" for at in (place, older) if world.exists(f"{at}/{account}/{OF_ACCOUNT[0]}")), "")
    for file in OF_ACCOUNT:
        path = f"{own or f'{place}/{account}'}/{file}"
        entry = world.entry(path)
        if entry.kind != "file":
            return _missing(path)
        try:
            if not isinstance(json.loads(entry.content), dict):
                return _damage(path)
        except (ValueError, RecursionError):
            return _damage(path) if entry.content.strip() else _empty(path)
    return ""


def _settings(world: World, name: str) -> dict[str, str]:
    """What the renewal file says, sections aside; nothing where there is no file, or none that can be read."""
    sections, _ = _sections(world, name)
    return {**sections[""], **sections.get(SECTION, {})}


def _sections(world: World, name: str) -> tuple[dict[str, dict[str, str]], str]:
    """A renewal file's sections ("" is above the first, a/b one in another), and why certbot cannot read the file; ""
    where it can. What follows a broken line counts too."""
    entry = world.entry(renewal(name))
    if entry.kind != "file":
        return {"": {}}, ""
    sections: dict[str, dict[str, str]] = {"": {}}
    broken, within = [] if _is_utf8(entry.content) else [phrase("is not UTF-8")], ""
    lines = enumerate(entry.content.decode("utf-8-sig", errors="replace").splitlines(), 1)
    for number, line in ((number, line.strip()) for number, line in lines):
        if not line or line.startswith("#"):
            continue
        if headed := HEADED.fullmatch(line):
            depth, parents = len(headed[1]), within.split("/") if within else []
            if depth != len(headed[4]) or depth > len(parents) + 1:
                broken.append(
                    phrase("has a syntax error in line {number}: the brackets do not form a section", number=number)
                )
            within = "/".join([*parents[: depth - 1], headed[3]])
            if within in sections:
                broken.append(phrase("has [{section}] twice, again in line {number}", section=headed[3], number=number))
            sections.setdefault(within, {})
        elif keyed := KEYED.fullmatch(line):
            key, value = next(text for text in keyed.groups()[:3] if text is not None), keyed[4]
            if key in sections[within]:
                above = phrase("above its sections")
                where = phrase("in [{section}]", section=within.rsplit("/", 1)[-1]) if within else above
                broken.append(
                    phrase("has {key} twice {where}, again in line {number}", key=key, where=where, number=number)
                )
            if value.startswith(LONG_QUOTES):
                while value.count(value[:3]) < 2 and (more := next(lines, None)):
                    value += f"\n{more[1]}"
                value = value[3:].partition(value[:3])[0]
            elif quoted := QUOTED.fullmatch(value):
                value = next(text for text in quoted.groups() if text is not None)
            elif value.startswith(('"', "'")) and "," not in value and value.count(value[0]) < 3:
                broken.append(phrase("has a syntax error in line {number}: unmatched quotes", number=number))
            else:
                value = value.partition("#")[0].rstrip()
            sections[within].setdefault(key, value)
        else:
            broken.append(
                phrase("has a syntax error in line {number}: neither a section nor KEY = VALUE", number=number)
            )
    return sections, broken[0] if broken else ""


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def set_aside(world: World, entries: list[PathAside]) -> list[str]:
    """Moves damaged files out of certbot's sight; their new names."""
    for entry in entries:
        world.rename_tree(entry["path"], entry["aside"])
    return [entry["aside"] for entry in entries]


def asides(world: World, name: str) -> list[PathAside]:
    """Entries of a transaction for `set_aside`: where each thing of a certificate is going to be."""
    there = [path for path in places(name) if world.exists(path)]
    return [{"path": path, "kind": "aside", "aside": _free(world, path), "slot": False} for path in there]


def _free(world: World, path: str) -> str:
    number = 1
    while world.exists(f"{path}.{DAMAGED}-{number}"):
        number += 1
    return f"{path}.{DAMAGED}-{number}"
