"""A release's archive, opened in memory: nothing is unpacked where it could be left behind."""

from __future__ import annotations

import base64
import binascii
import io
import tarfile

GZIP = "H4sI"  # the beginning of one in base64


def members(archive: bytes) -> dict[str, bytes]:
    """The files by name."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        files = ((entry.name, tar.extractfile(entry)) for entry in tar if entry.isfile())
        return {name: file.read() for name, file in files if file}


def unpacked_size(text: str) -> int:
    """Bytes that an archive in base64 has when it is unpacked, by gzip's own note at its end; 0 for what is none."""
    if not text.startswith(GZIP) or len(text) % 4:
        return 0
    try:
        return int.from_bytes(base64.b64decode(text[-8:])[-4:], "little")
    except binascii.Error:
        return 0
