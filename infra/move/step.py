"""`python -m infra.move.step NAME`: what `pulumi up` runs for a step of a region move. The request is JSON on standard
input; progress goes to standard error, the result to standard output."""

import json
import sys

from infra.errors import InfraError
from infra.move.steps import drain, gate, images, verify

STEPS = {"images": images.run, "gate": gate.run, "verify": verify.run, "drain": drain.run}


def main(name: str) -> int:
    request = json.load(sys.stdin)
    label = request["label"]

    def say(line: str) -> None:
        print(f"{label}: {line}", file=sys.stderr, flush=True)

    try:
        result = STEPS[name](request, say)
    except InfraError as error:
        say(f"failed: {error}")
        return 1
    print(json.dumps(result, sort_keys=True), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
