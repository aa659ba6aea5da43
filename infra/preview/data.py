"""What a release means for data that containers keep: said before it happens, with what to do. Pure."""

import re
from collections.abc import Iterator

from agent.documents.manifest import Container, Directory, Manifest
from agent.wording import phrase
from catalogue.compose.database_versions import database_of


def changes(was: Manifest | None, will: Manifest | None) -> list[str]:
    """A line for each of two releases' containers whose data is not where it was, or is read by another version."""
    old, new = (_containers_by_service(manifest) for manifest in (was, will))
    return [
        *_of_disk(was, will),
        *_of_directories(was, will),
        *(line for name in sorted(old) for line in (_of_one(old[name], new.get(name)))),
    ]


def _of_disk(was: Manifest | None, will: Manifest | None) -> Iterator[str]:
    if was and will and (places := [place for place in will.get("mounts", []) if place not in was.get("mounts", [])]):
        yield phrase(
            "a data disk is mounted at {places} first. What is there on the root disk is not moved: the update is "
            "refused until it is copied (docs/data-disk.md)",
            places=", ".join(places),
        )  # fmt: skip


def _of_directories(was: Manifest | None, will: Manifest | None) -> Iterator[str]:
    """Directories of products: releases make them, and bring nothing that is in them."""
    if not was or not will:
        return
    before, after = ({entry["path"]: entry for entry in side.get("directories", [])} for side in (was, will))
    released = [file["path"] for file in was.get("files", [])]
    for path, entry in sorted(before.items()):
        # Of what containers see there are lines of their own
        if entry.get("if_missing") or any(name.startswith(f"{path}/") for name in released):
            continue
        if path not in after:
            yield phrase(
                "the directory {path} and what is in it stay, but the release does not have it any more. Nothing is "
                "copied or removed",
                path=path,
            )
        elif _owner(entry) != _owner(after[path]):
            yield phrase(
                "the directory {path} becomes {will}'s instead of {was}'s. What is in it keeps its owner: change it "
                "with chown",
                path=path, was=_owner(entry), will=_owner(after[path]),
            )  # fmt: skip


def _owner(entry: Directory) -> str:
    return f"{entry['owner']}:{entry['group']}" if entry["group"] else entry["owner"]


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
    if new and old["named"] != new["named"]:
        yield from _of_version(service, old["named"], new["named"])


def _of_version(service: str, before: str, after: str) -> Iterator[str]:
    """What another image means for the data of a known database."""
    was, will = database_of(before), database_of(after)
    if was is None and will is None:
        return
    if was and will and was.family == will.family and was.version and will.version:
        if was.version != will.version:
            yield phrase(
                "data of {service}: version {old} → {new} of a database. Many do not start on the data of another "
                "major version: dump it before the change, and load it afterwards",
                service=service, old=was.version, new=will.version,
            )  # fmt: skip
        elif _repository(before) != _repository(after) or _sorts_otherwise(was.family, before, after):
            yield phrase(
                "data of {service}: {old} → {new}, another image of the same database's version. It may have other "
                "extensions, and sort texts in another way: take a dump before the change",
                service=service, old=short_image(before), new=short_image(after),
            )  # fmt: skip
        return
    yield phrase(
        "data of {service}: {old} → {new}, and the names do not show whether the new image starts on the data that is "
        "there: dump it before the change, and load it afterwards where it does not",
        service=service, old=short_image(before), new=short_image(after),
    )  # fmt: skip


def _sorts_otherwise(family: str, before: str, after: str) -> bool:
    """Whether one of two images is Alpine's: PostgreSQL sorts texts by the C library, and indexes are in that order."""
    return family == "postgres" and ("alpine" in before.rpartition(":")[2]) != ("alpine" in after.rpartition(":")[2])


def _repository(name: str) -> str:
    return re.sub(r"(@.*|:[^/:]*)$", "", name)


def short_image(name: str) -> str:
    """An image as people write it: without registry, and with the first signs of a digest."""
    head, at, digest = name.partition("@")
    return f"{head.rsplit('/', 1)[-1]}{at}{digest[:19]}"
