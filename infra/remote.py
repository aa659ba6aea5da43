"""Commands on a host, over a connection of infra.ssh: the agent's verbs, programs that go there by themselves, scripts.

Nothing is sent before the host has shown, by a mark that only this command knows, that it runs what it was asked to
run: a login that ends in something else (a forced command, nologin) gets no secret, and nothing was touched there. In
an answer each line has that mark; all others are a login shell's."""

import contextlib
import hashlib
import json
import shlex
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import paramiko

from agent.documents.answers import BootTimes, Contents, Drift, Overview, PruneAnswer, Releases, Status
from catalogue.shapes import JsonObject
from infra.answers import check_answer, checked_job_event
from infra.errors import InfraError
from infra.foreign import clean, one_line
from infra.forms import mapping_in
from infra.limits import time_limit
from infra.ssh import ConnectionLost, NeverConnects, Target, connect, last_words

# Makes the mark of a word, so that what echoes the command does not show it, and takes what it is to run from standard
# input, where no list of processes shows it
START = (
    "python3 -I -B -c 'import hashlib, json, sys; mark = hashlib.sha256(sys.argv[1].encode()).hexdigest(); "
    'print("\\n" + mark, flush=True); said = json.load(sys.stdin); exec(said["first"])\''
)
FIRST = Path(__file__).with_name("on_host.py").read_text()
SHORTAGE = 4  # RFC 4254, 5.1: of resources, which passes
SILENCE = 30.0  # seconds; the agent gives a sign of life every 5
LONGEST = 64 * 1024**2  # bytes of a line of an answer: every file of a host can be in one
MOST = 2 * LONGEST  # bytes of an answer
LINE = 600.0  # seconds that a line may take to its end
QUIET = 3600.0  # seconds of signs of life alone
WHOLE = 6 * 3600.0  # seconds that an answer may take, of any but logs
NOISE = 64 * 1024  # bytes that a login may print before the mark
SCRIPT_LINE = 64 * 1024  # bytes of a script's line that are kept

CONTENTS = "contents"  # the agent's answer that is compared, byte by byte


class NotStarted(NeverConnects):
    """The host took the login and did not run what it was asked to: nothing was sent."""


@dataclass(frozen=True)
class Command:
    """`name` is what the host's list of processes shows, and the agent's verb where there is no `program`, the text of
    one in Python that runs with `payload` in its globals. It says at most `most` bytes (None: any number), and comes to
    its end in time where it `has_end`."""

    name: str
    payload: object
    program: str | None = None
    most: int | None = MOST
    has_end: bool = True


@dataclass(frozen=True)
class Script:
    """A script for a shell: the `command` that takes its `text` on standard input, and how many seconds it may take
    (`limit`)."""

    command: str
    text: str
    limit: float


def events(
    transport: paramiko.Transport,
    target: Target,
    command: Command,
    on_start: Callable[[], None] = lambda: None,
    on_sent: Callable[[], None] = lambda: None,
) -> Iterator[JsonObject]:
    """What a command on the host says, object by object; `on_start` is called before anything is sent to it, `on_sent`
    once it has taken all. Raises NotStarted, ConnectionLost, and InfraError when the command itself fails, says more
    than it may or does not come to its end."""
    word = uuid.uuid4().hex
    mark = hashlib.sha256(word.encode()).hexdigest()
    line = f"{START} {word} {shlex.quote(command.name)}"
    noise: deque[str] = deque(maxlen=1)
    with _connection_errors(target):
        channel = _open_channel(transport, target, line if target.user == "root" else f"sudo -n {line}")
        lines = _lines(channel, target, command.most)
        _wait_for(mark, lines, channel, target)
        on_start()
        request = {"first": FIRST, "name": command.name, "payload": command.payload, "program": command.program}
        if is_read := _send_input(channel, json.dumps(request).encode()):
            on_sent()
        began_at = heard = marked = time.monotonic()
        for received in lines:
            now = time.monotonic()
            if command.has_end and (now - heard > QUIET or now - began_at > WHOLE):
                raise InfraError(
                    f"{target} responds, but did not finish {command.name!r} within "
                    f"{min(now - heard, now - began_at) / 60:.0f} min: the connection was closed"
                )
            if now - marked > SILENCE:
                raise ConnectionLost(f"{target}: none of its output came from the agent for {SILENCE:.0f} s")
            if not received.startswith(f"{mark} "):
                noise.extend([received] if received.strip() else [])
            elif (event := mapping_in(received[len(mark) + 1 :])) is not None:
                marked = now
                heard = now if event else heard
                yield event
                # What is done with it takes no time of the host's
                marked = time.monotonic()
        code, errors = _receive_end(transport, channel)
    _check_end(target, code, is_read)
    if code != 0:
        words = last_words("\n".join([*noise, errors]))
        raise InfraError(f"{target}: {words or f'exit code {code}'}")


@contextlib.contextmanager
def _connection_errors(target: Target) -> Generator[None]:
    """Raises the library's errors as ConnectionLost."""
    try:
        yield
    except TimeoutError:
        raise ConnectionLost(f"{target}: no data received for {SILENCE:.0f} s") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise ConnectionLost(f"{target}: {str(error) or 'the connection was closed'}") from None


def _open_channel(transport: paramiko.Transport, target: Target, line: str, limit: float = 15) -> paramiko.Channel:
    try:
        channel = transport.open_session(timeout=limit)
        channel.settimeout(SILENCE)
        # The library waits for the answer to this without a limit
        with time_limit(SILENCE, transport.close):
            channel.exec_command(line)
    except paramiko.ChannelException as error:
        if error.code == SHORTAGE:
            raise ConnectionLost(f"{target} has no resources for another session") from None
        raise NotStarted(
            f"{target} accepted the login, but opened no session ({error.text}); nothing was sent. Check MaxSessions "
            "in its sshd_config, and its open sessions"
        ) from None
    except paramiko.SSHException as error:
        if not transport.is_active():
            raise
        raise _not_started(target, str(error)) from None
    return channel


def _wait_for(mark: str, lines: Iterator[str], channel: paramiko.Channel, target: Target) -> None:
    """Until the host runs what it was asked to. Raises NotStarted with the words of what it runs instead."""
    transport = channel.get_transport()
    noise: deque[str] = deque(maxlen=1)
    printed = 0
    with time_limit(SILENCE, transport.close) as is_late:
        try:
            for line in lines:
                if line.strip() == mark:
                    return
                noise.extend([line] if line.strip() else [])
                printed += len(line)
                if printed > NOISE:
                    raise _not_started(target, f"it prints {last_words(''.join(noise))!r} without end")
            code, errors = _receive_end(transport, channel)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not is_late.is_set() and not isinstance(error, TimeoutError):
                raise
            code, errors = -1, ""
        if is_late.is_set() and not noise:
            # A host that is starting, or has no memory, is slow
            raise ConnectionLost(f"{target} accepted the login, but ran no command within {SILENCE:.0f} s")
        if is_late.is_set():
            raise _not_started(target, last_words("".join(noise)))
    words = last_words("\n".join([*noise, errors]))
    if code == -1:
        raise ConnectionLost(f"{target}: {words or 'the connection was closed'}")
    # A shell that complains has run
    if code and last_words(errors):
        raise NotStarted(f"{target}: {last_words(errors)}; nothing was sent")
    raise _not_started(target, words or f"exit code {code}")


def _not_started(target: Target, reason: str) -> NotStarted:
    return NotStarted(
        f"{target} accepted the login, but did not run the command: {reason}; nothing was sent. Check the login shell "
        f"of {target.user}, command= in its authorized_keys, ForceCommand in sshd_config, and whether sshUser names "
        "the right user"
    )


def _receive_end(transport: paramiko.Transport, channel: paramiko.Channel) -> tuple[int, str]:
    """Exit code (-1: none was received), and standard error."""
    # The library does not limit how long the end of a command is waited for
    with time_limit(SILENCE, transport.close):
        code = channel.recv_exit_status()
        error_output = channel.makefile_stderr("r").read(LONGEST)
    return code, error_output if isinstance(error_output, str) else error_output.decode(errors="replace")


def _check_end(target: Target, code: int, is_read: bool) -> None:
    if code == -1:
        raise ConnectionLost(f"{target}: the connection was closed")
    if code == 0 and not is_read:
        raise ConnectionLost(f"{target}: the command ended before it had read its input")


def _send_input(channel: paramiko.Channel, data: bytes) -> bool:
    """Has a command taken all of its standard input. One that ends before that says itself why. Raises OSError where
    the connection is at fault."""
    try:
        # Each piece has a limit of its own; a host that takes one byte at a time keeps to it
        with time_limit(WHOLE, channel.get_transport().close):
            channel.sendall(data)
        channel.shutdown_write()
    except TimeoutError:
        raise
    except OSError:
        if not channel.get_transport().is_active():
            raise
        return False
    return True


def _lines(channel: paramiko.Channel, target: Target, total: int | None) -> Iterator[str]:
    """Lines as they come. A host that never ends its line, or goes on and on, fills no memory. Raises InfraError."""
    rest, received, line_began = bytearray(), 0, time.monotonic()
    while data := channel.recv(65536):
        received += len(data)
        if time.monotonic() - line_began > LINE:
            raise ConnectionLost(f"{target}: it did not finish a line within {LINE:.0f} s")
        if total is not None and received > total:
            raise InfraError(f"{target} sent more than {total // 1024**2} MiB; the connection was closed")
        *lines, last = data.split(b"\n")
        for part in lines:
            yield (bytes(rest) + part).decode(errors="replace")
            rest.clear()
            line_began = time.monotonic()
        rest += last
        if len(rest) > LONGEST:
            raise InfraError(f"{target} sent a line of more than {LONGEST // 1024**2} MiB; the connection was closed")
    if rest:
        yield rest.decode(errors="replace")


def run_script(
    transport: paramiko.Transport, target: Target, script: Script, say: Callable[[str], None]
) -> tuple[int, str]:
    """Runs a script, saying what it says; its exit code and last line. Raises NotStarted, ConnectionLost, and
    TimeoutError at the end of its time."""
    halves, last = (uuid.uuid4().hex, uuid.uuid4().hex), ""
    with time_limit(script.limit, transport.close) as is_late:
        try:
            with _connection_errors(target):
                print_mark = f"printf '%s%s\\n' {halves[0]} {halves[1]}; "
                channel = _open_channel(transport, target, print_mark + script.command, min(script.limit, 15))
                channel.set_combine_stderr(True)
                lines = _short_lines(channel)
                _wait_for("".join(halves), lines, channel, target)
                channel.settimeout(None)
                is_read = _send_input(channel, script.text.encode())
                for line in filter(str.strip, lines):
                    last = one_line(line.strip())
                    say(one_line(line))
                code = channel.recv_exit_status()
        except InfraError:
            if is_late.is_set():
                raise TimeoutError from None
            raise
    if is_late.is_set():
        raise TimeoutError
    _check_end(target, code, is_read)
    return code, last


def _short_lines(channel: paramiko.Channel) -> Iterator[str]:
    """Lines as they come, the beginning of each: what never ends its line is no reason to keep all of it."""
    rest = b""
    while data := channel.recv(65536):
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[:SCRIPT_LINE]
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def run_program(transport: paramiko.Transport, target: Target, program: str, payload: object) -> Iterator[JsonObject]:
    """What a program says that goes to the host by itself, and leaves nothing there."""
    yield from events(transport, target, Command("program", payload, program))


def stream(target: Target, verb: str, payload: Mapping[str, object] | None = None) -> Iterator[Any]:
    """What the host's agent says, one after the other: lines for people, and answers of the verb's type.
    Raises InfraError, a refusal of the agent's included."""
    with connect(target) as transport:
        # Logs can be followed for days
        follows = verb == "logs" and bool((payload or {}).get("follow"))
        command = Command(verb, payload or {}, most=None if follows else MOST, has_end=not follows)
        for raw_event in events(transport, target, command):
            if "result" in raw_event:
                refusal = checked_job_event(clean(raw_event), str(target)).get("result")
                raise InfraError(f"{target.host}: {refusal['line'] if refusal else f'the agent refused {verb!r}'}")
            # What the host's files hold is compared with what they are to hold, and is made visible where it is shown
            event = raw_event if verb == CONTENTS else clean(raw_event)
            if event:
                yield check_answer(verb, event, str(target))


@overload
def ask(target: Target, verb: Literal["status"]) -> Status: ...
@overload
def ask(target: Target, verb: Literal["overview"]) -> Overview: ...
@overload
def ask(target: Target, verb: Literal["drift"]) -> Drift: ...
@overload
def ask(target: Target, verb: Literal["releases"]) -> Releases: ...
@overload
def ask(target: Target, verb: Literal["boot-times"]) -> BootTimes: ...
@overload
def ask(target: Target, verb: Literal["contents"]) -> Contents: ...
@overload
def ask(target: Target, verb: Literal["prune"]) -> PruneAnswer: ...
@overload
def ask(target: Target, verb: str, payload: Mapping[str, object]) -> Any: ...
def ask(target: Target, verb: str, payload: Mapping[str, object] | None = None) -> Any:
    """The one answer of the host's agent, of the type in agent/documents that belongs to the verb; an older one leaves
    out what it does not know yet. Raises InfraError."""
    # What is said on the way to it is for people, and not kept
    answer: Any = None
    for event in stream(target, verb, payload):
        answer = None if set(event) == {"say"} else event
    if not answer:
        raise InfraError(f"{target}: the agent did not answer {verb!r}")
    return answer
