"""What a release means for data that containers keep: said before it happens, with what to do. Pure."""

import re
from collections.abc import Iterator

from agent.documents.manifest import Container, Manifest
from agent.wording import phrase
from catalogue.compose.keeping import data_paths

MAJOR = re.compile(r"v?([0-9]+)")


def changes(was: Manifest | None, will: Manifest | None) -> list[str]:
    """A line for each of two releases' containers whose data is not where it was, or is read by another version."""
    old, new = (_containers_by_service(manifest) for manifest in (was, will))
    return [*_of_disk(was, will), *(line for name in sorted(old) for line in (_of_one(old[name], new.get(name))))]


def _of_disk(was: Manifest | None, will: Manifest | None) -> Iterator[str]:
    if was and will and (places := [place for place in will.get("mounts", []) if place not in was.get("mounts", [])]):
        yield phrase(
            "a data disk is mounted at {places} first. What is there on the root disk is not moved: the update is "
            "refused until it is copied (docs/data-disk.md)",
            places=", ".join(places),
        )  # fmt: skip


def _containers_by_service(manifest: Manifest | None) -> dict[str, Container]:
    """Service → its container; nothing of a release that an earlier version made, which does not say what it keeps."""
    return {entry["service"]: entry for entry in (manifest or {}).get("containers", []) if "kept" in entry}


def _of_one(old: Container, new: Container | None) -> Iterator[str]:
    service = old["service"]
    for target, source in old["kept"].items():
        if new is None:
            yield phrase(
                "data of {service} stays in {source}, but nothing uses it any more", service=service, source=source
            )
        elif target not in new["kept"]:
            yield phrase(
                "data of {service}: {target} is no longer {source}. The data in it stays, but {service} no longer "
                "sees it",
                service=service, target=target, source=source,
            )  # fmt: skip
        elif new["kept"][target] != source:
            there = new["kept"][target]
            yield phrase(
                "data of {service}: {target} changes from {source} to {there}. Nothing is copied: do that by hand",
                service=service, target=target, there=there, source=source,
            )  # fmt: skip
    if new and old["kept"] and old.get("user") != new.get("user") and "user" in old:
        was, will = (
            phrase("user {user}", user=side["user"]) if side["user"] else phrase("its image's default user")
            for side in (old, new)
        )
        yield phrase(
            "data of {service}: runs as {will} instead of {was}. Files keep their owner: change it with chown",
            service=service, was=was, will=will,
        )  # fmt: skip
    if new and (versions := _majors(old["named"], new["named"])):
        yield phrase(
            "data of {service}: version {old} → {new} of a database. Many do not start on the data of another major "
            "version: dump it before the change, and load it afterwards",
            service=service, old=versions[0], new=versions[1],
        )  # fmt: skip


def _majors(before: str, after: str) -> tuple[str, str] | None:
    """The major versions of a known database that change; None where none does."""
    (was, _, old), (will, _, new) = (name.rpartition(":") for name in (before, after))
    versions = MAJOR.match(old), MAJOR.match(new)
    if was != will or not data_paths(will) or not all(versions):
        return None
    majors = [match[1] for match in versions if match]
    return (majors[0], majors[1]) if majors[0] != majors[1] else None
