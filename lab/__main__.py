"""`python -m lab check|up|down|status` for the lab of `make lab`; `rehearse-move|rehearse-down` for that of a move."""

import os
import subprocess
import sys

from catalogue.problems import CatalogueError
from infra.errors import InfraError
from lab.say import LabError, step

try:
    from lab import machine, rehearse, root, table, up, workspace
    from lab.settings import PROJECT, ROOT, default_lab, move_lab
except LabError as unusable:
    sys.exit(f"lab: {unusable}")


def main(command: str) -> int:
    if os.geteuid() != 0:
        if not root.is_possible():
            raise LabError("root is needed for containers and addresses: allow this user sudo without a password")
        return root.run_as_root("lab", command)
    if command not in ("down", "rehearse-down"):
        # Errors of lab.yaml are reported first, but do not keep a lab from being removed
        PROJECT.check()
    if command == "rehearse-move":
        return rehearse.rehearse(move_lab())
    lab = move_lab() if command == "rehearse-down" else default_lab()
    if command == "check":
        up.check(lab)
        print("this machine can run the lab; start it with make lab")
        return 0
    if command == "up":
        up.start(lab)
        up.prepare(lab)
        up.pulumi_up(lab)
    elif command in ("down", "rehearse-down"):
        machine.ensure_docker()
        with step("removing the lab"):
            up.clear(lab)
        machine.stop_docker()
        return 0
    elif not up.is_running(lab):
        raise LabError("no lab is running; start it with make lab")
    well = table.show(table.await_statuses(lab))
    # Services without a public name are reported by their host
    env = workspace.full_environment(lab)
    subprocess.run(["infra", "status", "--stack", "lab"], cwd=ROOT, env=env, check=False, timeout=120)
    print(
        "next: . .lab/env && pulumi preview --diff"
        if well
        else "not every service answers 200; logs are in .lab/run/; see docs/lab.md"
    )
    return 0 if well else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "status"))
    except (LabError, CatalogueError, InfraError) as error:
        sys.exit(f"lab: {error}")
    except KeyboardInterrupt:
        sys.exit("lab: interrupted; run the same command again to continue, or `make lab-down` to remove the lab")
