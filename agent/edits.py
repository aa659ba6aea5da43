"""Hand edits: found before they are overwritten, and kept."""

from __future__ import annotations

from agent import adopting
from agent.desired_state import Difference, exists
from agent.store import STATE, Release, history
from agent.world import World

EDITED = f"{STATE}/edited"


def edited_paths(world: World, base: Release | None, change: Difference) -> list[str]:
    """The files that the switch would overwrite or remove and that are not as the current release left them. A file
    that existed before the program's first release counts too."""
    file_at = {file.path: file for file in base.files} if base else {}
    links = {link["path"]: {link["target"]} for link in base.manifest["links"]} if base else {}
    # Which of its targets a slot has is the rollouts' doing
    slots = base.manifest["slots"] if base else []
    links |= {slot["link"]: {choice["target"] for choice in slot["choices"]} for slot in slots}

    def is_hand_edited(path: str) -> bool:
        if not exists(world, path) or path.endswith(adopting.DROP_IN):
            return False
        target = world.link_target(path)
        if target is not None:
            return target not in links.get(path, set())
        return path not in file_at or world.read(path) != file_at[path].content

    return [path for path in change.paths if is_hand_edited(path)]


def keep_aside(world: World, paths: list[str], job: str) -> dict[str, str]:
    """Path → where its content is kept, for root alone."""
    copies: dict[str, str] = {}
    for path in paths:
        content = world.read(path)
        if content is not None:
            copies[path] = f"{EDITED}/{job}{path}"
            world.write(copies[path], content, 0o600, "root", "root")
    if copies:
        world.directory(EDITED, 0o700, "root", "root")
    return copies


def forget_old(world: World, current: str) -> None:
    """Edited files of jobs that the history does not have any more; those of the `current` job stay."""
    remembered = {current, *(entry["job"] for entry in history(world) if "job" in entry)}
    for job in world.listing(EDITED):
        if job not in remembered:
            world.remove_tree(f"{EDITED}/{job}")


def drop(world: World, job: str) -> None:
    """After a rollback: the edited files are in their places again."""
    world.remove_tree(f"{EDITED}/{job}")
