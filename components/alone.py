"""An update of some services alone (infra deploy, infra secret rotate): the new release differs from the running one in
their images, or in values of their secrets, only."""

from collections.abc import Mapping
from dataclasses import replace

import pulumi

from catalogue.stack import Stack
from catalogue.updates import STALE
from components.before import Before, LastRelease
from components.configuration import Deploying
from rendering.archive import Release as Built
from rendering.files import HostFiles

SHOWN = 5
NO_FILE = "settings that are in no file, such as infra:healthDeadline, a health check or the order of units"


def refuse_stale(deploying: Deploying, prior: Before, stack: Stack) -> None:
    """Raises pulumi.RunError if another update has ended since this one was planned: this one would undo it. It is
    checked here because the stack is locked only from now on."""
    last = prior.last_releases.get(f"{stack.resource_prefix(deploying.host)}-release", LastRelease()).id
    is_other = deploying.release is not None and last != deploying.release
    if is_other or (deploying.basis is not None and deploying.basis != prior.deployed):
        raise pulumi.RunError(f"{STALE}: run the same command again")


def with_versions(files: HostFiles, versions: Mapping[str, str]) -> HostFiles:
    """A host's files as they are with other values of some secrets, of which the digests are known."""
    items = [
        replace(item, versions={place: versions.get(place, own) for place, own in item.versions.items()})
        for item in files.environment_files
    ]
    return replace(files, environment_files=items)


def refuse_more(host: str, changes: str, before: Built, after: Built, last: LastRelease) -> Built:
    """The release `after`, if `before` (the same project without its `changes`) is the `last` release: rendering
    is pure, so both differ in these only. Raises pulumi.RunError that names the other differences."""
    if before.id == last.id:
        return after
    paths = {*before.hashes, *last.files}
    others = sorted(path for path in paths if before.hashes.get(path) != last.files.get(path))
    differing_paths = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
    more = differing_paths if last.files and others else NO_FILE
    raise pulumi.RunError(
        f"nothing was touched: {host} has more to release than {changes}: {more}. Run pulumi up for all of it, or "
        "deploy from the commit that the last pulumi up ran from"
    )
