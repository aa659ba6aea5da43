"""`python tests/system/delivering.py HOST`, in a lab's project: what `pulumi up` would have `infra.deliver` bring to the
host now, as it reads it."""

import sys
from pathlib import Path

# Before the library of this name that the environment has: a test may have edited the project
sys.path.insert(0, str(Path.cwd()))

from components.release import request, secrets_for
from infra import hosts
from infra.preview import live
from rendering.archive import build
from rendering.host import render


def main(host: str) -> None:
    catalogue = live.catalogue_of("lab")
    known, _ = live.digests(catalogue, catalogue.stack.region)
    digests = {f"{name}{suffix}": digest for name, found in known.items() for suffix, digest in found.items()}
    target = hosts.targets(catalogue.stack, host)[host]
    made = build(render(catalogue, host, digests))
    print(request(catalogue.stack, made, vars(target), secrets_for(catalogue, host, {})))


if __name__ == "__main__":
    main(sys.argv[1])
