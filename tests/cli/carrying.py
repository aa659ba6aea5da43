"""A command on a host that is none, in a process whose standard streams are pipes: `python -m tests.cli.carrying`, the
command as JSON in its one argument."""

import json
import sys
import threading

from infra import reaching


class Channel:
    """A command there, in this process: it prints these pieces after its status is known, and takes what is typed only
    when it has printed `before` of them."""

    def __init__(self, sizes, error="", before=0):
        self.pieces = [b"x" * size for size in sizes]
        self.errors = [error.encode()] if error else []
        self.typed, self.gate, self.before = [], threading.Event(), before
        self.printed, self.is_closed = 0, False
        self.status_event = threading.Event()
        self.status_event.set()

    def recv(self, size):
        if self.is_closed or not self.pieces:
            return b""
        self.printed += 1
        if self.printed > self.before:
            self.gate.set()
        return self.pieces.pop(0)

    def recv_stderr(self, size):
        return self.errors.pop(0) if self.errors else b""

    def sendall(self, data):
        self.gate.wait(10)
        self.typed.append(data)

    def shutdown_write(self):
        self.gate.set()

    def close(self):
        self.is_closed = True


if __name__ == "__main__":
    channel = Channel(**json.loads(sys.argv[1]))
    one = reaching.Carried(channel)  # type: ignore[arg-type]  # it is used as one
    one.run()
    print(f"{one.has_no_reader} {one.wrong} {sum(map(len, channel.typed))}", file=sys.stderr)
