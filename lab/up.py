"""Starts the lab, runs `pulumi up` in it, and removes it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.writing import put
from lab import (
    contents,
    existing,
    facts,
    images,
    machine,
    network,
    ports,
    products,
    registry,
    requirements,
    services,
    tools,
    workspace,
)
from lab.facts import MachineFacts
from lab.run import LONGEST, Daemon, succeeds
from lab.say import LabError, step
from lab.settings import ACCOUNT, CACHE, PROJECT, REGIONS, ROOT, ZONE, Lab

# What the emulated AWS is made for
CLOUD = {"account": ACCOUNT, "zone": ZONE, "regions": [*REGIONS]}


def start(lab: Lab, filled: Sequence[str] = REGIONS) -> None:
    """Starts all parts before `pulumi up`: tools, engine, images, registries, cloud and ACME. Running parts stay.
    `filled` are the regions whose registries get the images."""
    _refuse_another_cloud(lab)
    ready(lab)
    if not is_running(lab):
        # The emulator's state is in memory: what is left of an ended or half-started lab belongs to nothing
        clear(lab)
    lab.directory.mkdir(parents=True, exist_ok=True)
    put(lab.path("name"), f"{lab.name}:{lab.number}")
    if is_running(lab):
        contents.fill(lab, filled)
        return
    with step("starting the rehearsal cloud"):
        _choose_ports(lab)
        services.make_certificates(lab)
        network.ensure(lab)
        machine.ensure_images(lab)
        registry.start(lab)
        services.start_cloud(lab)
        services.start_pebble(lab)
        services.write_bundle(lab)
    contents.fill(lab, filled)
    put(_whole(lab), json.dumps(CLOUD))


def _refuse_another_cloud(lab: Lab) -> None:
    """Raises LabError if the running lab was created for another account, zone or regions: it would have to be created
    again, and its hosts' data would be lost."""
    marker = _read_marker(lab)
    differing = [key for key in CLOUD if marker and marker.get(key) != CLOUD[key]]
    if differing and is_running(lab):
        raise LabError(
            f"Pulumi.lab.yaml has other {', '.join(differing)} than the running lab: run `make lab-down` first, which "
            "deletes all data of its hosts, or undo that change"
        )


def _read_marker(lab: Lab) -> dict[str, Any]:
    try:
        return json.loads(_whole(lab).read_text())
    except (OSError, ValueError):
        return {}


def check(lab: Lab) -> requirements.Needs:
    """What this machine is and what it needs, printed. Raises LabError with every problem and its remedy."""
    facts, needs = examine(lab)
    for line in requirements.describe(facts, needs):
        print(f"  {line}", file=sys.stderr, flush=True)
    if needs.problems:
        raise LabError("this machine cannot run the lab:\n" + "\n".join(f"  - {text}" for text in needs.problems))
    return needs


def examine(lab: Lab) -> tuple[MachineFacts, requirements.Needs]:
    """The machine's facts, and the needs that follow from them; nothing is installed or started."""
    built = {
        "pulumi": tools.has_pulumi(),
        "images": machine.has_base_images(),
        "registry": tools.REGISTRY.exists(),
        "lab": is_running(lab),
    }
    shift = lab.shift if built["lab"] else ports.choose_shift(ports.is_free_on([lab.services]))
    machine_facts = facts.collect(requirements.PACKAGES, [CACHE], built, shift)
    return machine_facts, requirements.decide(machine_facts)


def _choose_ports(lab: Lab) -> None:
    """Records, for all parts of the lab, the ports they listen on and how a host is booted on this machine."""
    machine_facts, needs = examine(lab)
    if machine_facts.shift is None:
        raise LabError(needs.problems[0])
    put(lab.path("shift"), str(machine_facts.shift))
    boot = lab.path("run", "boot.json")
    boot.parent.mkdir(parents=True, exist_ok=True)
    put(boot, json.dumps({"run": needs.run, "command": needs.command}))


def ready(lab: Lab) -> None:
    """What all labs of a machine share: packages, engine, tools, machine images. What exists stays."""
    tools.install(check(lab).packages)
    machine.ensure_docker()
    with ThreadPoolExecutor(2) as pool:
        for task in [pool.submit(_build_tools), pool.submit(machine.ensure_base_images)]:
            task.result()
    products.fetch()


def _whole(lab: Lab) -> Path:
    """The file that exists once a start has finished."""
    return lab.path("run", "whole")


def _build_tools() -> None:
    tools.ensure_pulumi()
    tools.ensure_pebble()
    images.build_programs()


def prepare(lab: Lab, project: Path = ROOT, home: bool = True) -> None:
    """Prepares Pulumi: plugins, stack, secrets and `.lab/env`, and applies later edits of the stack's file. `home` is
    whether the existing machines (kind ssh) are started too."""
    kinds = workspace.install_plugins(lab)
    if "stand-in" in kinds.values():
        print(f"  plugins: {', '.join(f'{name} ({kind})' for name, kind in kinds.items())}")
    if not lab.path("env").exists():
        with step("creating the stack, its keys and the existing machines (kind ssh)"):
            workspace.prepare(lab, project)
            _boot_own(lab, project, home)
            workspace.write_env(lab)
        return
    if workspace.is_outdated(lab, project):
        with step("applying edits of Pulumi.lab.yaml"):
            workspace.take_over_edits(lab, project)
    if home:
        _boot_own(lab, project, home)
    workspace.set_secrets(lab, project)


def _boot_own(lab: Lab, project: Path, home: bool) -> None:
    """Starts the existing machines (kind ssh) that the stack does not have yet."""
    hosts = workspace.hosts(lab)
    for number, (name, own) in enumerate(PROJECT.extras.machines.items() if home else [], 1):
        if name not in hosts:
            address = existing.start(lab, name, number, workspace.public_key(lab), own.kind)
            workspace.describe_host(lab, project, name, existing.configuration(address, own.memory, *own.systems))


def pulumi_up(lab: Lab, project: Path = ROOT) -> None:
    """The project's own `pulumi up` on stack lab, as a user would run it."""
    workspace.clear_dead_locks(lab)
    env = workspace.full_environment(lab)
    if workspace.has_interrupted(lab):
        with step("adopting what a killed update left"):
            settling = ["infra", "orphans", "--adopt", "--yes", "--stack", "lab"]
            if subprocess.run(settling, cwd=project, env=env, check=False, timeout=LONGEST).returncode:
                raise LabError("what a killed update left could not be adopted; the lines above say why")
    with step("pulumi up on stack lab", usual=40):
        command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", "lab", "--non-interactive"]
        result = subprocess.run(command, cwd=project, env=env, check=False, timeout=LONGEST)
        if result.returncode:
            raise LabError("pulumi up failed; its last lines say why. Fix the cause and run `make lab` again")


def daemons(lab: Lab) -> list[Daemon]:
    registries = [registry.daemon(lab, region) for region in _read_marker(lab).get("regions", REGIONS)]
    return [services.cloud_daemon(lab), services.pebble_daemon(lab), *registries]


def is_running(lab: Lab) -> bool:
    return _whole(lab).exists() and all(daemon.alive for daemon in daemons(lab))


def clear(lab: Lab, take_over: bool = False) -> None:
    """Removes everything of this lab and nothing else, leftovers of a killed run included.

    Raises LabError when another checkout's lab of this name is running, unless `take_over` ends that one too.
    """
    engine = succeeds("docker", "info")
    owner = network.owner(lab) if engine else None
    other = replace(lab, directory=Path(owner or lab.directory))
    if other != lab and is_running(other) and not take_over:
        raise LabError(f"a lab in {owner} uses the same name and addresses: run `make lab-down` there first")
    for one in (other, lab):
        # Daemons of all regions that it had
        for record in sorted(one.path("run").glob("*.pid")):
            Daemon(record.stem, record.parent).stop()
    if engine:
        machine.remove_hosts(lab)
        network.remove(lab)
    shutil.rmtree(lab.directory, ignore_errors=True)
