"""What a host has now, to be compared with what is to come. Reads only; no secret is in it."""

from __future__ import annotations

import hashlib

from agent import quoting, store
from agent.desired_state import DesiredFile, assignments
from agent.documents.answers import Contents
from agent.documents.manifest import EnvironmentFile
from agent.world import World

# What a file was edited to is sent up to so many times what the release has, or up to so many bytes
LARGER, ANY = 4, 1 << 20


def contents(world: World) -> Contents:
    """The serving release's manifest, and path → text of its files as they are; only `release`, None, before the first.

    In an environment file `[secret VERSION]` stands for a value that is the release's own.
    """
    release = store.current(world)
    if release is None:
        return {"release": None}
    environment = {item["path"]: item for item in release.manifest["environment_files"]}
    files: dict[str, str] = {}
    for file in release.files:
        try:
            content = world.read(file.path)
        except OSError as error:
            files[file.path] = f"(cannot be read: {quoting.error(error)})\n"
            continue
        if content is not None and len(content) > max(LARGER * len(file.content), ANY):
            files[file.path] = f"({len(content)} bytes: too large to compare)\n"
        elif content is not None:
            item = environment.get(file.path)
            files[file.path] = _without_secrets(file, content, item) if item else _text(content)
    # Which slot a link names is no difference: it is the host's own affair
    slot_links = {slot["link"] for slot in release.manifest["slots"]}
    links = {link["path"]: _target(world, link["path"]) for link in release.manifest["links"]}
    files |= {path: f"-> {target}\n" for path, target in links.items() if target and path not in slot_links}
    return {"release": release.id, "manifest": release.manifest, "files": files}


def _target(world: World, path: str) -> str | None:
    try:
        return world.link_target(path)
    except OSError as error:
        return f"(cannot be read: {quoting.error(error)})"


def _text(content: bytes) -> str:
    """As a preview shows it too: infra/preview/snapshot.py."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"(binary, {len(content)} bytes, {hashlib.sha256(content).hexdigest()[:12]})\n"


def _without_secrets(file: DesiredFile, content: bytes, item: EnvironmentFile) -> str:
    between = item.get("between", "=")
    ours = assignments(file.content.decode(errors="replace"), item)
    lines = [item["head"]] if item["head"] else []
    for name, value in sorted(assignments(content.decode(errors="replace"), item).items()):
        if value != ours.get(name):
            visible_value = value if name in item["values"] else "[another value, not shown]"
        else:
            version = item["versions"].get(item["secrets"].get(name, ""), "not set")
            visible_value = item["values"].get(name, f"[secret {version}]")
        lines.append(f"{name}{between}{visible_value}")
    return "\n".join(lines) + "\n"
