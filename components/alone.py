"""An update for some services alone: the release differs from the one that serves in their images, or in values of
their secrets, alone."""

from collections.abc import Mapping
from dataclasses import replace

import pulumi

from catalogue.stack import STALE, Stack
from components.before import Before, Served
from components.configuration import Deploying
from rendering.archive import Release as Built
from rendering.files import HostFiles

SHOWN = 5


def refuse_stale(deploying: Deploying, prior: Before, stack: Stack) -> None:
    """Raises pulumi.RunError where another update has ended since this one was worked out: what that one brought would
    be taken back. Only now is the stack locked."""
    served = prior.served.get(f"{stack.made_as(deploying.host)}-release", Served()).id
    is_other = deploying.release is not None and served != deploying.release
    if is_other or (deploying.basis is not None and deploying.basis != prior.deployed):
        raise pulumi.RunError(f"{STALE}: run the same command again")


def with_versions(files: HostFiles, versions: Mapping[str, str]) -> HostFiles:
    """A host's files as they are with other values of some secrets, of which the digests are known."""
    items = [
        replace(item, versions={place: versions.get(place, own) for place, own in item.versions.items()})
        for item in files.environment_files
    ]
    return replace(files, environment_files=items)


def refuse_more(host: str, changes: str, before: Built, after: Built, served: Served) -> Built:
    """The release `after`, where the one without its `changes` (`before`) is what was brought last: rendering is pure,
    so that they differ in these alone. Raises pulumi.RunError, naming what else differs."""
    if before.id == served.id:
        return after
    paths = {*before.hashes, *served.files}
    others = sorted(path for path in paths if before.hashes.get(path) != served.files.get(path))
    named = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
    more = named if served.files and others else "something that no file shows"
    raise pulumi.RunError(
        f"nothing was touched: {host} has more to release than {changes}: {more}. Run pulumi up for all of it, or "
        "deploy from the state of the project that it was run with"
    )
