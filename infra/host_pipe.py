"""Two commands on two hosts, each reading what the other writes: the hosts need no way to each other, and no key. All
of it passes this machine, inside the two connections of infra.ssh."""

import shlex
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import paramiko

from infra.errors import InfraError
from infra.foreign import one_line
from infra.ssh import ConnectionLost, Target, last_words

CHUNK = 256 * 1024
SILENCE = 300.0  # seconds; rsync itself gives a sign of life more often
NOISE = 64 * 1024  # bytes that a login may print before the command begins
WORDS = 64 * 1024  # bytes of what a command complains of that are kept


@dataclass(frozen=True)
class Side:
    """A connection, whose it is, and the command that root is to run there."""

    transport: paramiko.Transport
    target: Target
    argv: list[str]


@dataclass(frozen=True)
class PipeResult:
    """Exit codes, and the last words of each side."""

    codes: tuple[int, int]
    words: tuple[str, str]


def join(giver: Side, taker: Side, came: Callable[[int], None]) -> PipeResult:
    """Runs both to their ends; `came` hears how many bytes the giver has sent so far. Raises InfraError."""
    giving, taking = _open_command(giver), _open_command(taker)
    complaints: list[bytearray] = [bytearray(), bytearray()]
    broken: list[str] = []
    closed: set[paramiko.Channel] = set()

    def pass_on(source: paramiko.Channel, to: paramiko.Channel, whose: Target, count: Callable[[int], None]) -> None:
        total = 0
        try:
            while data := source.recv(CHUNK):
                try:
                    to.sendall(data)
                except TimeoutError:
                    raise
                except OSError:
                    # It has ended, and its exit code says why: what the other one still has is of no use
                    closed.add(source)
                    source.close()
                    return
                total += len(data)
                count(total)
        except (OSError, EOFError, paramiko.SSHException) as error:
            if isinstance(error, TimeoutError):
                broken.append(f"{whose}: no data received for {SILENCE:.0f} s")
                giving.close()
                taking.close()
        finally:
            _end_input(to)

    def listen(channel: paramiko.Channel, words: bytearray) -> None:
        while True:
            try:
                data = channel.recv_stderr(CHUNK)
            except TimeoutError:
                # Most commands have nothing to complain of
                if channel.closed:
                    return
                continue
            except (OSError, EOFError, paramiko.SSHException):
                return
            if not data:
                return
            words += data
            del words[:-WORDS]

    def ignore(_: int) -> None:
        """What the taker says is not counted."""

    threads = [
        threading.Thread(target=pass_on, args=(giving, taking, giver.target, came), daemon=True),
        threading.Thread(target=pass_on, args=(taking, giving, taker.target, ignore), daemon=True),
        threading.Thread(target=listen, args=(giving, complaints[0]), daemon=True),
        threading.Thread(target=listen, args=(taking, complaints[1]), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = giving.recv_exit_status(), taking.recv_exit_status()
    giving.close()
    taking.close()
    if broken:
        raise ConnectionLost(broken[0])
    for code, side, channel in zip(codes, (giver, taker), (giving, taking), strict=True):
        if code == -1 and channel not in closed:
            raise ConnectionLost(f"{side.target}: the connection was closed")
    complaints_of_sides = [one_line(last_words(bytes(words))) for words in complaints]
    return PipeResult(codes, (complaints_of_sides[0], complaints_of_sides[1]))


def _open_command(side: Side) -> paramiko.Channel:
    """The command, begun: whatever a login shell printed before is passed over."""
    halves = uuid.uuid4().hex, uuid.uuid4().hex
    script = f"printf '%s%s\\n' {halves[0]} {halves[1]}; exec {shlex.join(side.argv)}"
    line = f"sh -c {shlex.quote(script)}"
    try:
        channel = side.transport.open_session(timeout=15)
        channel.settimeout(SILENCE)
        channel.exec_command(line if side.target.user == "root" else f"sudo -n {line}")
        mark, received = "".join(halves).encode() + b"\n", b""
        while not received.endswith(mark):
            # Byte by byte: what follows is the other side's
            data = channel.recv(1)
            if not data or len(received) > NOISE:
                words = last_words(channel.recv_stderr(CHUNK) if channel.recv_stderr_ready() else received)
                raise InfraError(f"{side.target} could not run {side.argv[0]}: {words or 'it gave no reason'}")
            received += data
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise ConnectionLost(f"{side.target}: {str(error) or 'the connection was closed'}") from None
    return channel


def _end_input(channel: paramiko.Channel) -> None:
    try:
        channel.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        return
