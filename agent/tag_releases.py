"""The release of a host that takes what a tag means by itself: the one that serves, with one image in another's place.
It is byte for byte what the program renders with that digest, so that the next `pulumi up` has nothing to do."""

from __future__ import annotations

import json
from dataclasses import replace

from agent import store
from agent.desired_state import digest
from agent.documents.jobs import Payload
from agent.documents.manifest import LEFT_OUT, Manifest
from agent.outcome import Failed, Refused
from agent.store import Release
from agent.world import World

KIND = "watch"  # of its jobs
TRIES, PAUSE = 5, 2.0  # looks by a public name, and seconds between them


def release(world: World, payload: Payload) -> Release:
    """As the payload says, out of what serves now. Raises Refused."""
    current = store.current_id(world)
    if current is None:
        raise Refused("this host has no release yet")
    before, after = payload.get("instead", ["", ""])
    return exchange(world, current, before, after)


def exchange(world: World, id: str, before: str, after: str) -> Release:
    """A kept release with the image `after` instead of `before`, both by their digests. Raises Refused."""
    kept_release = store.load(world, id)
    text = (world.read(f"{store.RELEASES}/{id}/manifest.json") or b"").decode(errors="surrogatepass")
    if before not in text:
        raise Refused(f"release {id[:12]} no longer has {before}")
    manifest: Manifest = json.loads(text.replace(before, after))
    if missing := sorted({*store.LATER} - {*manifest, *LEFT_OUT}):
        raise Refused(f"an earlier version made the release that serves ({', '.join(missing)}): run pulumi up once")
    own = {entry["path"] for entry in manifest["files"]}
    files = [
        replace(file, content=file.content.replace(before.encode(), after.encode())) if file.path in own else file
        for file in kept_release.files
    ]
    contents = {file.path: file.content for file in files}
    for entry in manifest["files"]:
        entry["sha256"] = digest(contents[entry["path"]])
    return Release(digest(store.serialize(manifest)), manifest, files)


def look_by_names(world: World, urls: list[str]) -> None:
    """In place of the look from outside, which takes another machine: each public URL by its name. Not every host can
    reach itself that way, so that no answer says nothing. Raises Failed."""
    for url in urls:
        status = 0
        for _ in range(TRIES):
            status = world.status_of(url)
            if status in (0, 200):
                break
            world.sleep(PAUSE)
        if status not in (0, 200):
            raise Failed(f"by its public name: {url} answered {status}")
