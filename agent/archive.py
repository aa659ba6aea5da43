"""A release's archive, opened in memory: nothing is unpacked where it could be left behind."""

import io
import tarfile


def members(archive: bytes) -> dict[str, bytes]:
    """The files by name."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        files = ((entry.name, tar.extractfile(entry)) for entry in tar if entry.isfile())
        return {name: file.read() for name, file in files if file}
