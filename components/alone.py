"""An update for some services alone: the release differs from the one that serves in their images alone."""

from collections.abc import Sequence

import pulumi

from components.before import Served
from rendering.archive import Release as Built

SHOWN = 5


def only_images(host: str, services: Sequence[str], before: Built, after: Built, served: Served) -> Built:
    """The release `after`, where the one with the images of `before` is what was brought last: rendering is pure, so
    that they differ in these images alone. Raises pulumi.RunError, naming what else differs."""
    if before.id == served.id:
        return after
    paths = {*before.hashes, *served.files}
    others = sorted(path for path in paths if before.hashes.get(path) != served.files.get(path))
    named = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
    more = named if served.files and others else "something that no file shows"
    raise pulumi.RunError(
        f"nothing was touched: {host} has more to release than images of {', '.join(services)}: {more}. Run pulumi up "
        "for all of it, or deploy from the state of the project that it was run with"
    )
