"""All that the agent can do to a host, as one small interface; tests put a world in memory in its place."""

import grp
import http.client
import os
import pwd
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """A command that ended: its exit code and what it printed (both streams, secrets never among the arguments)."""

    code: int
    output: str

    def last_lines(self, count: int = 3) -> str:
        return " | ".join(line.strip() for line in self.output.strip().splitlines()[-count:] if line.strip())


class World:
    """The real host."""

    def run(self, *argv: str, timeout: float = 300, environment: dict[str, str] | None = None) -> Ran:
        """Runs a command to its end; a missing program is code 127, a timeout 124."""
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                env={**os.environ, "HOME": "/root", "LC_ALL": "C.UTF-8", **(environment or {})},
                check=False,
            )
        except FileNotFoundError:
            return Ran(127, f"{argv[0]}: not found")
        except subprocess.TimeoutExpired as late:
            return Ran(124, (late.stdout or b"").decode(errors="replace") + f"\nno end after {timeout:.0f} s")
        return Ran(done.returncode, done.stdout.decode(errors="replace"))

    def has_command(self, name: str) -> bool:
        return shutil.which(name) is not None

    def read(self, path: str) -> bytes | None:
        """A file's content, or None where there is no file."""
        try:
            return Path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def owner_and_mode(self, path: str) -> tuple[str, str, int]:
        """Owner, group and permission bits of a file that exists."""
        status = os.stat(path)
        return _name(pwd.getpwuid, status.st_uid), _name(grp.getgrgid, status.st_gid), status.st_mode & 0o7777

    def write(self, path: str, content: bytes, mode: int, owner: str, group: str) -> None:
        """Puts a file in place as a whole: temporary file, fsync, rename. It never has wider rights than `mode`."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.infra")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)

    def directory(self, path: str, mode: int, owner: str, group: str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)
        os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
        os.chmod(path, mode)

    def link_target(self, path: str) -> str | None:
        return os.readlink(path) if os.path.islink(path) else None

    def link(self, path: str, target: str) -> None:
        temporary = Path(f"{path}.infra")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        os.replace(temporary, path)

    def remove(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)

    def status_of(self, url: str, name: str | None = None) -> int:
        """HTTP status of a GET, 0 where nothing answers. With `name` the request goes to this host's own proxy."""
        headers = {"Host": name} if name else {}
        context = ssl.create_default_context()
        # The certificate is judged from outside; here only the way through the proxy is
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        handlers = [urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({})]
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.build_opener(*handlers).open(request, timeout=5) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, http.client.HTTPException):
            return 0

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _name(lookup, number: int) -> str:
    try:
        return lookup(number)[0]
    except KeyError:
        return str(number)
