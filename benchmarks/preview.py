"""`make bench-preview`: how long a preview takes, of WatchMe and of catalogues several times its size; needs no lab."""

import copy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from lab.run import run
from lab.settings import ROOT

ROUNDS = 5
SIZES = (1, 2, 5, 10)
WATCHME = Path("files/systems/watchme.yaml")


def copy_of(system: dict[str, Any], number: int) -> dict[str, Any]:
    """WatchMe once more, under other names."""
    clone = copy.deepcopy(system)
    clone["system"] = f"watchme{number}"
    clone["network"] |= {"name": f"network{number}", "unit": f"network{number}.service"}
    clone["sites"][0]["name"] = f"api{number}.hey-watch.me"
    for service in clone["services"]:
        service["name"] += f"-{number}"
        for key in ("repository", "container", "directory", "replaced_by", "compose_key"):
            if key in service:
                service[key] += f"-{number}"
        if "image" in service:
            service["image"]["repository"] += f"-{number}"
        if "unit" in service:
            service["unit"] = f"copy{number}-{service['unit']}"
    return clone


def project(folder: Path, size: int) -> Path:
    """A clone whose stack prod runs `size` WatchMes, each on a host of its own; what is not committed is one port."""
    for name in run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    system = yaml.safe_load((folder / WATCHME).read_text())
    stack = yaml.safe_load((folder / "Pulumi.prod.yaml").read_text())
    hosts = stack["config"]["infra:hosts"]
    for number in range(2, size + 1):
        text = yaml.safe_dump(copy_of(system, number), allow_unicode=True)
        (folder / WATCHME).with_name(f"watchme{number}.yaml").write_text(text)
        hosts[f"host{number}"] = {**hosts["watchme"], "systems": [f"watchme{number}"]}
    stack["config"]["infra:budget"] = 10_000
    (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump(stack))
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "all"]):
        run("git", *words, cwd=folder)
    text = (folder / WATCHME).read_text()
    (folder / WATCHME).write_text(text.replace("port: 8017", "port: 8047", 1))
    return folder


def preview_time(folder: Path) -> float:
    command = [str(Path(sys.executable).with_name("infra")), "preview", "--mocks", "--base", "HEAD", "--stack", "prod"]
    start = time.perf_counter()
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    seconds = time.perf_counter() - start
    if process.returncode or "1 service restarts while its requests wait: ast-api" not in process.stdout:
        sys.exit(f"bench: {process.stdout[-2000:]}{process.stderr[-2000:]}")
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        projects = {size: project(Path(temporary) / str(size), size) for size in SIZES}
        figures: dict[int, list[float]] = {size: [] for size in SIZES}
        for _ in range(ROUNDS):
            for size, folder in projects.items():
                figures[size].append(preview_time(folder))
    print(f"| {ROUNDS} interleaved rounds | services | median | least | most |\n|---|---|---|---|---|")
    for size, seconds in figures.items():
        cells = f"{statistics.median(seconds):.2f} s | {min(seconds):.2f} s | {max(seconds):.2f} s"
        print(f"| preview of {size} × WatchMe | {13 * size} | {cells} |")


if __name__ == "__main__":
    main()
