"""The lab needs root: containers, addresses, low ports. A user with sudo gets it for the lab alone."""

import os
import subprocess
import sys

from lab.run import succeeds
from lab.settings import CACHE, ROOT

KEPT = (
    "CI", "DOCKER_CONTEXT", "DOCKER_HOST", "HOME", "LAB", "LAB_PLUGINS", "PATH", "REQUESTS_CA_BUNDLE", "TERM",
    "TESTS_EVERYTHING", "XDG_CACHE_HOME",
)  # fmt: skip
# How this user reaches the package registries
KEPT_PREFIXES = ("GO", "PIP_", "SSL_", "UV", "HTTP", "http", "NO_PROXY", "no_proxy")
MADE = (ROOT / ".lab", ROOT / ".lab-move", CACHE)


def is_possible() -> bool:
    return os.geteuid() == 0 or succeeds("sudo", "-n", "true")


def run_as_root(*module: str) -> int:
    """`python -m MODULE …` by root, with this user's directories; what it made in them is the user's afterwards."""
    names = [name for name in os.environ if name in KEPT or name.startswith(KEPT_PREFIXES)]
    variables = [f"{name}={os.environ[name]}" for name in names]
    command = ["sudo", "-n", "env", *variables, sys.executable, "-m", *module]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    paths = [str(path) for path in MADE if path.exists()]
    if paths:
        subprocess.run(["sudo", "-n", "chown", "-R", f"{os.getuid()}:{os.getgid()}", *paths], check=False, timeout=120)
    return code
