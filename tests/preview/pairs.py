"""Pairs of snapshots out of one process that has the libraries already, and keeps what it knows of a base.

As a script it is that process. It reads {base, head: directories}, one a line, and writes the pair of stack prod, as
`infra/preview/snapshot.py` makes it: each checkout in a child of its own, none of which has more than the libraries.
A base is not changed after it was first named.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STACK = "prod"
PREVIEW = Path(__file__).parents[2] / "infra/preview"
Pairs = Callable[[Path, Path], dict[str, Any]]


@contextmanager
def pairs() -> Iterator[Pairs]:
    """What makes a pair of a base and a head."""
    from tests.support import started

    with started(sys.executable, __file__, timeout=600, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        requests, answers = process.stdin, process.stdout

        def pair(base: Path, head: Path) -> dict[str, Any]:
            requests.write(json.dumps({"base": str(base), "head": str(head)}) + "\n")
            requests.flush()
            return json.loads(answers.readline())

        yield pair


# Of marks in place of secrets: one for all checkouts
KEY = b"tests"


def main() -> None:
    # As for the real script: nothing of this project is importable but what a checkout brings
    sys.path[0] = str(PREVIEW)
    import snapshot

    snapshot.preload()
    bases: dict[str, dict[str, Any]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        after = snapshot.apart(asked["head"], STACK, "", KEY)
        if asked["base"] not in bases:
            bases[asked["base"]] = snapshot.apart(asked["base"], STACK, "", KEY).wait()
        print(json.dumps(snapshot.pair_up(bases[asked["base"]], after.wait(), asked["head"], "", KEY)), flush=True)


if __name__ == "__main__":
    main()
