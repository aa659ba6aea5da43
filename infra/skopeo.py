"""skopeo on this machine: which digest a registry has under a name, and copies from one registry into another. Logins
stand in a file that no other account reads, never on a command line."""

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalogue.shapes import is_list, is_mapping
from infra.errors import InfraError
from infra.foreign import one_line
from infra.writing import put

ABSENT = ("manifest unknown", "name unknown", "repository does not exist", "repository name not known")
LIMIT = 1800  # seconds for one image


class Copier:
    """`auths` are Docker's logins by registry; `logins` those that people configured: user and password. Raises
    InfraError where this machine has no skopeo."""

    def __init__(
        self, folder: Path, auths: Mapping[str, Mapping[str, str]], logins: Mapping[str, Mapping[str, str]]
    ) -> None:
        configured = {
            host: {"auth": base64.b64encode(f"{entry['user']}:{entry['password']}".encode()).decode()}
            for host, entry in logins.items()
        }
        if not shutil.which("skopeo"):
            raise InfraError("skopeo is not on PATH: install it (apt install skopeo, brew install skopeo); run again")
        # Never on a command line, which every account of this machine could see
        self.file = folder / "auth.json"
        put(self.file, json.dumps({"auths": {**configured, **auths}}), 0o600)

    def digest(self, name: str) -> str | None:
        """The digest of an image or an index; None where the registry has none of that name. Raises InfraError."""
        ran = self._run("inspect", "--raw", name)
        if ran.returncode == 0:
            if not _is_manifest(ran.stdout):
                image = name.removeprefix("docker://")
                raise InfraError(f"{image}: its registry answers with something else than an image. Run again")
            return f"sha256:{hashlib.sha256(ran.stdout).hexdigest()}"
        error_output = ran.stderr.decode(errors="replace")
        if any(sign in error_output for sign in ABSENT):
            return None
        raise InfraError(f"{name.removeprefix('docker://')}: {_reason(error_output)}")

    def configuration(self, name: str) -> bytes:
        """What an image's builder said of it: its configuration, as JSON; of an index that of this machine's
        architecture. Raises InfraError."""
        ran = self._run("inspect", "--config", "--raw", name)
        if ran.returncode:
            error_output = ran.stderr.decode(errors="replace")
            raise InfraError(f"{name.removeprefix('docker://')}: {_reason(error_output)}")
        return ran.stdout

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository. Raises InfraError."""
        ran = self._run("list-tags", repository)
        if ran.returncode:
            error_output = ran.stderr.decode(errors="replace")
            raise InfraError(f"the tags of {repository.removeprefix('docker://')}: {_reason(error_output)}")
        try:
            tags: Any = json.loads(ran.stdout)["Tags"] or []
        except (ValueError, LookupError, TypeError):
            tags = None
        if not is_list(tags):
            raise InfraError(f"the tags of {repository.removeprefix('docker://')} cannot be read. Run again")
        return [str(tag) for tag in tags]

    def copy(self, source: str, target: str) -> None:
        """All architectures. Raises InfraError."""
        ran = self._run("copy", "--quiet", "--all", "--preserve-digests", source, target)
        if ran.returncode:
            error_output = ran.stderr.decode(errors="replace")
            raise InfraError(f"{source.removeprefix('docker://')} cannot be copied: {_reason(error_output)}")

    def _run(self, verb: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = ["skopeo", verb, "--authfile", str(self.file), *words]
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise InfraError(f"skopeo {verb} did not end within {LIMIT} s. Run again to go on") from None


def _is_manifest(answer: bytes) -> bool:
    try:
        manifest = json.loads(answer)
    except ValueError:
        return False
    return is_mapping(manifest) and "schemaVersion" in manifest


def _reason(error_output: str) -> str:
    lines = [line for line in error_output.strip().splitlines() if line.strip()]
    return one_line((lines or ["no reason given"])[-1][-300:])
