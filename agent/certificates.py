"""Certificates by ACME, obtained before the proxy is switched to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from agent import lineages, proofs, quoting, transaction
from agent.documents.certificates import ObtainedCertificate
from agent.documents.manifest import Certificate
from agent.documents.transaction import EarlierDirectory, EarlierOwner, PathState
from agent.outcome import Refused
from agent.places import Entry
from agent.store import STATE, Release
from agent.world import PERMISSIONS, World

SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
RENEWED = 30  # days before its end that a certificate is renewed
REPLACED = f"{STATE}/certificates.json"
OBTAINED = f"{STATE}/obtained.json"
STAGED_BUNDLE = "/run/infra/roots.pem"
# Where every proxy serves challenges from, the one that a fresh package brings included
WEBROOT = "/var/www/html"
BY_HTTP = ["--webroot", "--webroot-path", WEBROOT]


def obtain(
    world: World, target: Release, identity: dict[str, str], replaced: Sequence[PathState], renewing: bool = True
) -> list[str]:
    """What was done, a line for each certificate that was missing and is here now. `replaced` is what `remember` gave.
    Unless it is `renewing`, one that is in force is enough, however it is renewed: a way back asks no network.
    The release's own roots are trusted on top of the system's. Raises Refused with what the ACME client said.
    """
    missing = [item for item in target.manifest["certificates"] if not _is_here(world, target, item, renewing)]
    lines = [line for item in missing for line in _issue(world, target, item, identity, replaced)]
    for item in target.manifest["certificates"]:
        if item.get("group", "root") != "root":
            _share(world, item["name"], item["group"])
    return lines


def warnings(world: World, target: Release) -> list[str]:
    """Certificates that serve and cannot be renewed."""
    names = [item["name"] for item in target.manifest["certificates"]]
    faults = {name: fault for name in names if (fault := lineages.fault(world, name))}
    return [
        f"warning: the certificate of {name} is in use, but certbot cannot renew it: {fault}. A release within "
        f"{RENEWED} days of its expiry obtains another one"
        for name, fault in faults.items()
    ]


def remember(world: World, target: Release, renewing: bool = True) -> list[PathState]:
    """Entries of a transaction for what `obtain` is going to replace, on the disk before it does: a kill leaves them
    there, and `give_back` finds them."""
    items = target.manifest["certificates"]
    missing = [item["name"] for item in items if not _is_here(world, target, item, renewing)]
    damaged = [name for name in missing if lineages.exists(world, name) and lineages.fault(world, name)]
    in_force = [name for name in missing if name not in damaged and _is_in_force(world, name)]
    renewals, links = map(lineages.renewal, in_force), (link for name in in_force for link in lineages.links(name))
    entries: list[PathState] = [
        *transaction.inline_entries(world, [*renewals], [*links]),
        *(entry for name in damaged for entry in lineages.asides(world, name)),
        *_owners(world, items),
    ]
    if entries:
        world.write(REPLACED, json.dumps(entries).encode(), 0o600, "root", "root")
    return entries


def _owners(world: World, items: list[Certificate]) -> list[EarlierDirectory | EarlierOwner]:
    """Whose those files are now that a proxy is going to be let read."""
    shared = [item for item in items if item.get("group", "root") != "root"]
    entries: list[EarlierDirectory | EarlierOwner] = []
    for path in (f"{lineages.HOME}/{name}" for name in ("live", "archive") if shared):
        if present := world.directory_entry(path):
            entries.append(transaction.directory_state(path, present))
    for item in shared:
        for path in _keys(world, item["name"]):
            present = world.entry(path)
            if present.kind == "file":
                entries.append(_owner_state(path, present))
    return [entry for entry in entries if entry["group"] not in {item["group"] for item in shared}]


def _owner_state(path: str, present: Entry) -> EarlierOwner:
    return {
        "path": path, "kind": "owned", "slot": False,
        "owner": present.owner, "group": present.group, "mode": present.mode & PERMISSIONS,
    }  # fmt: skip


def _keys(world: World, name: str) -> list[str]:
    folder = f"{lineages.HOME}/archive/{name}"
    return [f"{folder}/{file}" for file in world.listing(folder) if file.startswith("privkey")]


def states_to_restore(replaced: Sequence[PathState]) -> list[PathState]:
    """Of what was replaced, what a rollback puts back: not what was damaged."""
    return [entry for entry in replaced if entry["kind"] != "aside"]


def give_back(world: World) -> None:
    """What a preparation that came to no switch has replaced is in force again. Safe to repeat: what could not be put
    back now is tried again by the next job. Raises Refused for a record that cannot be read."""
    if not world.exists(REPLACED):
        return
    text = world.read(REPLACED) or b""
    try:
        parsed: object = json.loads(text) if text.strip() else []
        # Each entry is asked below for what it must have
        entries = cast("list[PathState]", parsed)
        if not isinstance(parsed, list) or not all(entry["kind"] and entry["path"] for entry in entries):
            raise ValueError("it is not a list of replaced certificates")
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise Refused(
            f"the record of the certificates that an interrupted job replaced cannot be read ({quoting.error(error)}): "
            f"`certbot certificates` on the host shows the current certificates; remove {REPLACED} once they are "
            "correct"
        ) from None
    if not transaction.put_back(world, entries):
        forget(world)


def are_replaced(world: World) -> bool:
    """Are certificates in force that a release obtained which came to no switch, since the disk took no earlier one."""
    return world.exists(REPLACED)


def forget(world: World) -> None:
    """The switch has begun, whose transaction has the entries now; or none is needed."""
    if world.exists(REPLACED):
        world.remove(REPLACED)


def _issue(
    world: World, target: Release, item: Certificate, identity: dict[str, str], replaced: Sequence[PathState]
) -> list[str]:
    name = item["name"]
    lines: list[str] = []
    damaged = [entry for entry in replaced if entry["kind"] == "aside" and entry["path"] in lineages.places(name)]
    if damaged:
        fault = lineages.fault(world, name)
        lines.append(f"{fault}: set aside as {', '.join(lineages.set_aside(world, damaged))}")
    before = {link: world.link_target(link) for link in lineages.links(name)}
    if _is_used_again(world, item, before):
        return [*lines, f"the certificate of {name} of the earlier release is in use again"]
    token = proofs.environment(target, item)
    proofs.check(world, item, token)
    around = identity | token | _trust(world, target)
    ran = world.run(*command(item), environment=around, timeout=300)
    if ran.code != 0:
        raise Refused(f"no certificate for {name} from {item['server']}: {_reason(ran.output)}")
    if not _is_here(world, target, item):
        fault = lineages.fault(world, name) or f"it is from {lineages.server(world, name)}, or not yet active"
        raise Refused(
            f"certbot obtained a certificate for {name}, but not where it belongs: {fault}. `certbot certificates` on "
            "the host shows all of them"
        )
    if damaged:
        _keep_new(world, name)
    _note(world, item, before)
    return [*lines, f"obtained the certificate of {name}"]


def _read_notes(world: World) -> dict[str, ObtainedCertificate]:
    try:
        parsed = json.loads(world.read(OBTAINED) or b"{}")
    except ValueError:
        return {}
    notes = cast("dict[str, object]", parsed) if isinstance(parsed, dict) else {}
    # As `_note` writes them
    return {name: cast("ObtainedCertificate", entry) for name, entry in notes.items() if isinstance(entry, dict)}


def _note(world: World, item: Certificate, before: dict[str, str | None]) -> None:
    """What was obtained in place of what was there `before`, should the release go back: authorities give the same
    certificate a few times a week."""
    name = item["name"]
    links = {link: target for link in lineages.links(name) if (target := world.link_target(link))}
    noted = _read_notes(world)
    renewal = (world.read(lineages.renewal(name)) or b"").decode(errors="replace")
    noted[name] = {"item": _request_key(item), "renewal": renewal, "links": links, "before": before}
    world.write(OBTAINED, json.dumps(noted).encode(), 0o600, "root", "root")


def _is_used_again(world: World, item: Certificate, now: dict[str, str | None]) -> bool:
    """Puts back in force what an earlier try obtained for the same, where its release went back."""
    name = item["name"]
    noted = _read_notes(world).get(name)
    chain = f"{lineages.HOME}/live/{name}/fullchain.pem"
    if not noted or noted.get("item") != _request_key(item) or set(noted["links"]) != {*lineages.links(name)}:
        return False
    # Something newer may have been put there since, such as one without a key that got out
    if now != noted.get("before"):
        return False
    file = f"{lineages.HOME}/archive/{name}/{noted['links'][chain].rsplit('/', 1)[-1]}"
    if not _lasts(world, file, RENEWED):
        return False
    world.write(lineages.renewal(name), noted["renewal"].encode(), 0o644, "root", "root")
    for link, to in noted["links"].items():
        world.link(link, to)
    return not lineages.fault(world, name)


def _request_key(item: Certificate) -> list[str]:
    return [item["server"], item.get("domain") or item["name"], *_plugin(item)]


def _keep_new(world: World, name: str) -> None:
    """From here on nothing puts the damaged files back: they cannot be renewed, and the new certificate took one of the
    authority's few attempts."""
    entries: list[PathState] = json.loads(world.read(REPLACED) or b"[]")
    remaining = [entry for entry in entries if entry["kind"] != "aside" or entry["path"] not in lineages.places(name)]
    if remaining:
        world.write(REPLACED, json.dumps(remaining).encode(), 0o600, "root", "root")
    else:
        forget(world)


def _trust(world: World, target: Release) -> dict[str, str]:
    """The environment in which the release's own roots are trusted: the system's store changes only with the switch."""
    roots = [file.content for file in target.files if file.path in target.manifest["trusted_roots"]]
    if not roots:
        return {}
    bundle = (world.read(SYSTEM_BUNDLE) or b"") + b"".join(roots)
    world.write(STAGED_BUNDLE, bundle, 0o644, "root", "root")
    return {"REQUESTS_CA_BUNDLE": STAGED_BUNDLE}


def _share(world: World, name: str, group: str) -> None:
    """Lets a proxy that is not root read one certificate's key; certbot keeps that at renewals."""
    for directory in ("live", "archive"):
        world.directory(f"/etc/letsencrypt/{directory}", 0o750, "root", group)
    for path in _keys(world, name):
        world.run("chgrp", group, path)
        world.run("chmod", "0640", path)


def _is_here(world: World, target: Release, item: Certificate, renewing: bool = True) -> bool:
    """A certificate of that name from that directory: one from another directory (a staging one) does not count, nor
    one whose time is over. Of one that certbot cannot renew the directory is not known: that it is trusted counts, and
    not that another release asks for another one."""
    name = item["name"]
    if not lineages.fault(world, name):
        is_renewed_so = lineages.server(world, name) == item["server"]
        is_renewed_so = is_renewed_so and not (renewing and _is_of_another_zone(world, item))
        return is_renewed_so and _is_in_force(world, name)
    return _is_in_force(world, name, RENEWED) and _is_trusted(world, target, item)


def _is_of_another_zone(world: World, item: Certificate) -> bool:
    """Did an earlier release prove the name where another provider keeps its zone, or by DNS what HTTP proves now:
    certbot could not renew it."""
    way = lineages.way(world, item["name"])
    if item["challenge"] == "dns-01":
        return proofs.is_ours(way) and way != proofs.way(item)
    return proofs.is_ours(way) and (item.get("provider", "route53") != "route53" or way[0] == "manual")


def _is_in_force(world: World, name: str, days: int = 0) -> bool:
    return _lasts(world, f"{lineages.HOME}/live/{name}/fullchain.pem", days)


def _lasts(world: World, path: str, days: int) -> bool:
    """Is a certificate there, and good for so many days."""
    seconds = str(days * 86400)
    return world.exists(path) and world.run("openssl", "x509", "-noout", "-checkend", seconds, "-in", path).code == 0


def _is_trusted(world: World, target: Release, item: Certificate) -> bool:
    """Would a client take it, one that has the release's own roots too, and is its key there."""
    name = item["name"]
    # Of all names below a domain any is one
    name_to_verify = (item.get("domain") or name).replace("*", "any")
    chain, key = (f"{lineages.HOME}/live/{name}/{part}" for part in ("fullchain.pem", "privkey.pem"))
    bundle = _trust(world, target).get("REQUESTS_CA_BUNDLE", SYSTEM_BUNDLE)
    checked = world.run(
        "openssl", "verify", "-CAfile", bundle, "-untrusted", chain, "-verify_hostname", name_to_verify, chain
    )
    public = [
        world.run("openssl", *words, "-in", path)
        for words, path in ((("x509", "-noout", "-pubkey"), chain), (("pkey", "-pubout"), key))
    ]
    return checked.code == 0 and public[0].code == public[1].code == 0 and public[0].output == public[1].output


def _plugin(item: Certificate) -> list[str]:
    return proofs.plugin(item) if item["challenge"] == "dns-01" else BY_HTTP


def command(item: Certificate) -> list[str]:
    """certbot's command line for a certificate; it is kept by certbot for the renewals."""
    return [
        "certbot", "certonly", "--non-interactive", "--agree-tos", "--force-renewal",
        "--email", item["email"], "--server", item["server"], *_plugin(item),
        "--cert-name", item["name"], "-d", item.get("domain") or item["name"],
    ]  # fmt: skip


def _reason(output: str) -> str:
    if ours := [line for line in output.splitlines() if proofs.FAILED in line]:
        return ours[-1].partition(proofs.FAILED)[2].strip()
    boring = ("Saving debug log", "Ask for help", "See the logfile")
    return quoting.last_lines("\n".join(line for line in output.splitlines() if not line.startswith(boring)), 3)
