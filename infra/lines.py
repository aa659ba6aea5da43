"""What a program that Pulumi runs writes: lines of a bounded length, whatever a host or a service says.

Pulumi's `command` plugin stops reading at a line of 64 KiB and the update hangs for ever; and what was written in all
comes back as an environment variable of the next run, where Linux takes 128 KiB.
"""

import contextlib
import os
import threading
from collections.abc import Iterator

LINE = 4000  # bytes of one line
PIECES = 4  # lines that one long line becomes
TOTAL = 64 * 1024  # bytes of all lines but the last
RESULT = 64 * 1024  # bytes on standard output
WHOLE = "the whole text: infra logs"
CONTROL = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160)), " ")


def pieces(text: str) -> Iterator[str]:
    """The lines of a text, each at most LINE bytes; of a line that needs more than PIECES of them the beginning, and a
    mark that says how much is missing. Control characters become spaces. Pure."""
    for line in text.splitlines() or [""]:
        data = _clean(line)
        whole = len(data)
        for _ in range(PIECES):
            piece, data = _split(data, LINE)
            yield piece
            if not data:
                break
        else:
            yield f"… ({whole} bytes in this line; {WHOLE})"


def one_line(text: str) -> str:
    """A text as one line of at most LINE bytes, marked where it was cut. Pure."""
    data = _clean("; ".join(part.strip() for part in text.splitlines() if part.strip()))
    if len(data) <= LINE:
        return data.decode()
    mark = f" … ({WHOLE})"
    return _split(data, LINE - len(mark.encode()))[0] + mark


def _clean(line: str) -> bytes:
    return line.rstrip().translate(CONTROL).encode(errors="replace")


def _split(data: bytes, size: int) -> tuple[str, bytes]:
    """The longest beginning of whole characters that fits in so many bytes, and the rest."""
    end = min(size, len(data))
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return data[:end].decode(), data[end:]


class Writer:
    """Standard error for people and standard output for the result, from any thread. `last` closes it: what comes
    afterwards is dropped, so that the last line is the last line. A closed pipe is no error."""

    def __init__(self, output: int = 1, error: int = 2) -> None:
        self._output, self._error = output, error
        self._lock = threading.Lock()
        self._written, self._is_closed = 0, False

    def say(self, text: str) -> None:
        """A line of progress, or several."""
        with self._lock:
            for line in pieces(text):
                if self._is_closed or self._written > TOTAL:
                    return
                self._written += len(line.encode()) + 1
                _write(self._error, line if self._written <= TOTAL else f"… (no more progress is shown; {WHOLE})")

    def last(self, line: str = "", result: str = "") -> None:
        """How it ended, for people ("" where the lines before say it), and what a program reads ("" in a failure)."""
        with self._lock:
            if self._is_closed:
                return
            if len(result.encode()) > RESULT:
                raise ValueError(f"a result of {len(result.encode())} bytes, and at most {RESULT} reach the next run")
            self._is_closed = True
            if result:
                _write(self._output, result)
            if line:
                _write(self._error, one_line(line))


def _write(descriptor: int, line: str) -> None:
    data = f"{line}\n".encode()
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]
