"""Copies images from one registry into another, on the host that is going to run them. Goes there by itself, before any
release: it imports nothing of the agent, and speaks JSON lines.

An image that is already present by its digest is not copied again, nor is a layer: run again, it goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

AT_ONCE = 4
ATTEMPTS = 3
RUN = "/run"
_out = threading.Lock()
Skopeo = Callable[..., "subprocess.CompletedProcess[bytes]"]


class Image(TypedDict):
    """What is copied: `source` and `to` are its names, `digest` is what it must be (None: what the source has now)."""

    source: str
    to: str
    digest: str | None


class _AnyCopy(TypedDict):
    to: str
    digest: str | None
    how: str


class Copy(_AnyCopy, total=False):
    """What became of an image; one that failed has the `reason`."""

    reason: str


class Payload(TypedDict):
    """`auths` are Docker's logins for both registries, which are shown nowhere."""

    images: list[Image]
    auths: dict[str, dict[str, str]]


def say(**event: Copy | list[Copy]) -> None:
    with _out:
        print(json.dumps(event), flush=True)


def digest_of(skopeo: Skopeo, name: str) -> str | None:
    """The digest that a registry has under a name, None where it has nothing. Raises OSError with its words."""
    ran = skopeo("inspect", "--raw", f"docker://{name}")
    if ran.returncode == 0:
        return f"sha256:{hashlib.sha256(ran.stdout).hexdigest()}"
    errors = ran.stderr.decode(errors="replace")
    if "manifest unknown" in errors or "name unknown" in errors or "not found" in errors:
        return None
    raise OSError(last_line(errors))


def last_line(output: str) -> str:
    line = (output.strip().splitlines() or ["no reason given"])[-1][-300:]
    return "".join(char if char.isprintable() else " " for char in line)


def copy_image(skopeo: Skopeo, image: Image) -> Copy:
    have = digest_of(skopeo, image["to"])
    want = image["digest"] or newest(skopeo, image["source"], have)
    if want is None:
        return {"to": image["to"], "digest": have, "how": "only here" if have else "nowhere"}
    # A tag that has gone on meanwhile is not taken back: a release pulls by digest
    if have == want or (image["digest"] and digest_of(skopeo, by_digest(image["to"], want)) == want):
        return {"to": image["to"], "digest": want, "how": "already present"}
    copy(skopeo, f"docker://{by_digest(image['source'], want)}", f"docker://{image['to']}")
    have = digest_of(skopeo, image["to"])
    if have != want:
        raise OSError(f"the copy has {have or 'nothing'}, the original {want}")
    return {"to": image["to"], "digest": want, "how": "copied"}


def by_digest(name: str, digest: str) -> str:
    return name.rsplit("@" if "@" in name else ":", 1)[0] + f"@{digest}"


def newest(skopeo: Skopeo, source: str, have: str | None) -> str | None:
    """What the source has now. One that cannot be asked holds up nothing that is here: it may be why we leave."""
    try:
        return digest_of(skopeo, source)
    except OSError:
        if have is None:
            raise
        return None


def copy(skopeo: Skopeo, source: str, to: str) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        ran = skopeo("copy", "--quiet", "--all", source, to)
        if ran.returncode == 0:
            return
        if attempt == ATTEMPTS:
            raise OSError(last_line(ran.stderr.decode(errors="replace")))
        time.sleep(2 * attempt)


def exactly() -> list[str]:
    """The option that keeps a copy from being another image than the original. skopeo before 1.5 (Debian 11, Ubuntu
    22.04) does not have it: there only the look at the digest afterwards shows that."""
    ran = subprocess.run(["skopeo", "copy", "--help"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return ["--preserve-digests"] if b"--preserve-digests" in ran.stdout + ran.stderr else []


def main(payload: Payload) -> None:
    # One of its own: what is left of a killed run may still be running in another
    directory = tempfile.mkdtemp(prefix="infra-copying-", dir=RUN)
    login = f"{directory}/auth.json"
    with open(os.open(login, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        json.dump({"auths": payload["auths"]}, file)

    options: dict[str, list[str]] = {"copy": exactly() if payload["images"] else []}

    def skopeo(verb: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = ["skopeo", verb, "--authfile", login, *options.get(verb, []), *words]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=3600, check=False)

    def one(image: Image) -> Copy:
        try:
            result: Copy = copy_image(skopeo, image)
        except (OSError, subprocess.SubprocessError) as error:
            result = {"to": image["to"], "digest": None, "how": "failed", "reason": str(error)}
        say(image=result)
        return result

    over = threading.Event()

    def breathe() -> None:
        while not over.wait(5):
            say()

    threading.Thread(target=breathe, daemon=True).start()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            say(images=list(pool.map(one, payload["images"])))
    except BrokenPipeError:
        sys.exit(1)
    finally:
        over.set()
        shutil.rmtree(directory, ignore_errors=True)
