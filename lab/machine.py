"""What the lab sets up on the machine: the Docker engine and the hosts' images."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from infra.writing import put
from lab import products, tools
from lab.cloud import disks
from lab.run import Daemon, run, succeeds, wait_until
from lab.say import step
from lab.settings import CACHE, KINDS, LABEL, ROOT, Lab

IMAGE = ROOT / "lab" / "image"
BARE_IMAGE = "watchme-lab-base:bookworm"


def docker_daemon() -> Daemon:
    """The Docker engine, where the lab started it; labs share it."""
    return Daemon("dockerd", CACHE / "run")


def ensure_docker() -> None:
    """Starts dockerd when no socket answers."""
    if succeeds("docker", "info"):
        return
    with step("starting the Docker engine"):
        daemon = docker_daemon()
        daemon.stop()
        daemon.start("dockerd")
        wait_until("Docker engine", lambda: succeeds("docker", "info"), daemon)


def stop_docker() -> None:
    """Ends the engine when a lab started it and neither a lab nor anything else uses it."""
    daemon = docker_daemon()
    # Every lab, running or left behind, has its network
    used = daemon.alive and (
        run("docker", "network", "ls", "-q", "--filter", f"label={LABEL}") or run("docker", "ps", "-q")
    )
    if daemon.alive and not used:
        with step("stopping the Docker engine"):
            daemon.stop()


def base_image(kind: str) -> str:
    """A machine image's name, by what it is made from."""
    parts = [path.read_bytes() for path in sorted(IMAGE.rglob("*")) if path.is_file()]
    parts.append(tools.COMPOSE_SHA256.encode())
    return f"watchme-lab-{kind}:{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"


def has_base_images() -> bool:
    """Are the machine images built. Where no engine runs that could be asked, what was written down when they were."""
    if not succeeds("docker", "info"):
        return all(_built_folder(kind).exists() for kind in KINDS)
    return all(succeeds("docker", "image", "inspect", base_image(kind)) for kind in KINDS)


def _built_folder(kind: str) -> Path:
    return CACHE / "built" / base_image(kind).replace(":", "-")


def ensure_base_images() -> None:
    if has_base_images():
        return
    with step("making the machine images (debootstrap)", usual=50):
        tree = CACHE / "rootfs"
        shutil.rmtree(tree, ignore_errors=True)
        run("debootstrap", "--variant=minbase",
            "--include=systemd,systemd-sysv,dbus,ca-certificates", "bookworm", str(tree))  # fmt: skip
        _import(tree, BARE_IMAGE)
        run("rm", "-rf", str(tree))
    with step("making the machine images (packages)", usual=75):
        context = CACHE / "image-context"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(IMAGE, context)
        tools.fetch_compose(context / "docker-compose-v2")
        for kind in KINDS:
            build(context, base_image(kind), {"BASE": BARE_IMAGE}, kind)
            _built_folder(kind).parent.mkdir(exist_ok=True)
            _built_folder(kind).touch()


def _import(tree: Path, name: str) -> None:
    with subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE) as tar:
        command = ["docker", "import", "-", name]
        subprocess.run(command, stdin=tar.stdout, stdout=subprocess.DEVNULL, check=True, timeout=600)


def ensure_images(lab: Lab) -> None:
    """The machine images with this lab's root in their trust store, as AWS's roots are in a real one's, and with what
    the products' owners would have built on them."""
    for kind in KINDS:
        context = lab.path("image", kind)
        context.mkdir(parents=True, exist_ok=True)
        commands = products.lay_out(context / "tree", products.on(kind))
        root = context / "tree/usr/local/share/ca-certificates/lab-root.crt"
        root.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(lab.path("tls", "root.crt"), root)
        lines = [
            f"FROM {base_image(kind)}",
            "COPY tree/ /",
            f"RUN {' && '.join(['update-ca-certificates', *commands])}",
            f"LABEL {LABEL}={lab.name}",
        ]
        put(context / "Dockerfile", "\n".join(lines) + "\n")
        build(context, lab.image(kind), {})


def build(context: Path, name: str, arguments: dict[str, str], target: str | None = None) -> None:
    options = [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
    options += ["--target", target] if target else []
    run("docker", "build", "-q", "--network", "host", *options, "-t", name, str(context), env={"DOCKER_BUILDKIT": "0"})


def remove_hosts(lab: Lab) -> None:
    """Every container and image of this lab, the ones that a killed run left included."""
    if containers := run("docker", "ps", "-aq", "--filter", f"label={LABEL}={lab.name}").split():
        run("docker", "rm", "-f", "-v", *containers)
    disks.release(lab)
    for image in map(lab.image, KINDS):
        if succeeds("docker", "image", "inspect", image):
            run("docker", "rmi", "-f", image)
