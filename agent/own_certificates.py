"""Certificates that no authority is asked for: looked at before a proxy is switched to them, by the host's openssl."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent import proxies, quoting
from agent.documents.manifest import OwnCertificate
from agent.job import Job
from agent.outcome import Refused
from agent.store import Release
from agent.world import World

STAGE = "/run/infra/own-certificates"
BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
MOST = 10  # certificates of a chain
PAIR = ("chain", "key")
BASIC = ("openssl", "x509", "-noout")


def entries(target: Release) -> list[OwnCertificate]:
    return target.manifest.get("own_certificates", [])


def check(world: World, job: Job, base: Release | None, target: Release) -> None:
    """Raises Refused naming each that would not serve: its key is another's, it is not for its site's name, it has
    ended, or its chain is out of order. Of several sites' certificate each name is looked at. One that serves already
    holds nothing back, whatever has ended meanwhile: the job says so, where it is for all services."""
    contents = {file.path: file.content for file in target.files}
    complaints: list[str] = []
    warnings: list[str] = []
    try:
        for entry in entries(target):
            serves = base is not None and _serves_by(base, entry, contents)
            if serves and job.only:
                continue
            (warnings if serves else complaints).extend(
                f"the certificate of {entry['name']} ({entry['chain']}) {fault}"
                for fault in _faults(world, entry, contents)
            )
    finally:
        world.remove_tree(STAGE)
    if complaints:
        raise Refused(f"{'; '.join(dict.fromkeys(complaints))}. Replace it, and run again")
    for line in dict.fromkeys(warnings):
        job.say(f"warning: {line}. It is in use already, and this release leaves it as it is: replace it")


def _serves_by(base: Release, entry: OwnCertificate, contents: dict[str, bytes]) -> bool:
    """Does the site have this pair already? By its proxy's file: earlier versions listed no pairs."""
    before = {file.path: file.content for file in base.files}
    own_file = (f"/{entry['name']}", f"/{entry['name']}.caddy")
    has_pair = any(
        proxies.has_file(path) and path.endswith(own_file) and all(entry[part].encode() in text for part in PAIR)
        for path, text in before.items()
    )
    return has_pair and all(contents.get(entry[part]) == before.get(entry[part]) for part in PAIR)


def _faults(world: World, entry: OwnCertificate, contents: dict[str, bytes]) -> Iterator[str]:
    chain, key = (_content(world, entry[kind], contents) for kind in PAIR)
    certificates = BLOCK.findall(chain)[:MOST]
    if not certificates:
        yield "has no certificate in PEM"
        return
    world.directory(STAGE, 0o700, "root", "root")
    paths = [f"{STAGE}/{number}.pem" for number in range(len(certificates))]
    for path, content in zip([*paths, f"{STAGE}/key.pem"], [*certificates, key]):
        world.write(path, content + b"\n", 0o600, "root", "root")
    own = _public_key(world, paths[0])
    its_key = world.run("openssl", "pkey", "-pubout", "-passin", "pass:", "-in", f"{STAGE}/key.pem")
    if its_key.code or not own:
        why = "" if its_key.code == 0 else f": {quoting.quote(its_key.last_lines(1))}"
        yield f"cannot be compared with its key ({entry['key']}){why}" if its_key.code else "cannot be read"
        return
    if own != its_key.output.strip():
        others = [number for number, path in enumerate(paths) if _public_key(world, path) == its_key.output.strip()]
        yield (
            f"is not the first of its chain: its key ({entry['key']}) belongs to number {others[0] + 1}"
            if others
            else f"does not fit its key ({entry['key']})"
        )
        return
    if world.run(*BASIC, "-checkend", "0", "-in", paths[0]).code:
        ends = world.run(*BASIC, "-enddate", "-in", paths[0]).output.strip().partition("=")[2]
        yield f"has ended ({quoting.quote(ends)})"
    if "does match" not in world.run(*BASIC, "-checkhost", entry["name"], "-in", paths[0]).output:
        yield "is not for this name"
    yield from _chain_faults(world, paths)


def _content(world: World, path: str, contents: dict[str, bytes]) -> bytes:
    """Of the release or, where a person put it there, of the host."""
    return contents[path] if path in contents else world.read(path) or b""


def _public_key(world: World, path: str) -> str:
    ran = world.run(*BASIC, "-pubkey", "-in", path)
    return "" if ran.code else ran.output.strip()


def _chain_faults(world: World, paths: list[str]) -> Iterator[str]:
    names = [_names(world, path) for path in paths]
    for number, ((_, issuer), (subject, _)) in enumerate(zip(names, names[1:]), 1):
        if issuer != subject:
            yield f"has a chain out of order: certificate {number + 1} did not sign certificate {number}"
            return


def _names(world: World, path: str) -> tuple[str, str]:
    """Subject and issuer."""
    lines = world.run(*BASIC, "-subject", "-issuer", "-nameopt", "RFC2253", "-in", path).output.splitlines()
    values = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    return values.get("subject", ""), values.get("issuer", "")
