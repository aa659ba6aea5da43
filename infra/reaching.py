"""A person in a service: a command in it, a shell, its port on this machine. Over the stack's own connection; the host
notes down who it was."""

import contextlib
import os
import select
import shlex
import shutil
import signal
import socket
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import paramiko

from catalogue.loading import Catalogue
from catalogue.problems import nearest
from infra import hosts, remote
from infra.delivery import who
from infra.errors import InfraError
from infra.ssh import Target, connected

PIECE = 32 * 1024
Say = Callable[[str], None]


def target_of(catalogue: Catalogue, service: str, host: str | None) -> Target:
    """The host that runs a service (`NAME/2` is its second replica); any that is named where there is no service.
    Raises InfraError."""
    stack = catalogue.stack
    found = hosts.targets(stack, host)
    if service:
        known = {
            name: {one.name for system in catalogue.systems_on(name) for one in system.active} for name in stack.hosts
        }
        own = service.partition("/")[0]
        everything = sorted(set().union(*known.values()))
        if own not in everything:
            raise InfraError(f"stack {stack.name} runs no {own}: {nearest(own, everything, 'services')}")
        found = {name: target for name, target in found.items() if own in known.get(name.partition("@")[0], set())}
        if not found:
            raise InfraError(f"{host} runs no {own}" if host else f"no host that runs {own} has been made yet")
    if len(found) > 1:
        raise InfraError(f"name the host with --host: {', '.join(sorted(found))}")
    return next(iter(found.values()))


def run(target: Target, how: str, service: str, words: Sequence[str]) -> int:
    """Runs a command in a service, or a shell; its exit code. What it prints is printed, what is typed goes there.
    Raises InfraError."""
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    answer = _asked(target, how, service, words, has_terminal)
    with connected(target) as transport, _errors(target):
        channel = transport.open_session(timeout=15)
        if has_terminal:
            columns, rows = shutil.get_terminal_size()
            channel.get_pty(os.environ.get("TERM", "xterm"), columns, rows)
        if "argv" in answer:
            line = shlex.join(answer["argv"])
            channel.exec_command(line if target.user == "root" else f"sudo -n {line}")
        else:
            channel.invoke_shell()
        with _raw() if has_terminal else contextlib.nullcontext(), _resized(channel, has_terminal):
            _carry(channel)
        return channel.recv_exit_status()


def _asked(target: Target, how: str, service: str, words: Sequence[str], tty: bool, port: int | None = None) -> Any:
    asked = {"how": how, "service": service, "words": [*words], "tty": tty, "port": port, "who": who()}
    return remote.ask(target, "reach", asked)


@contextlib.contextmanager
def _errors(target: Target) -> Iterator[None]:
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise InfraError(f"{target}: {str(error) or 'the connection was closed'}") from None


def _carry(channel: paramiko.Channel) -> None:
    """Until the command ends: what comes goes to standard output and error, what is typed goes there."""
    typed, is_open = sys.stdin.fileno(), True
    while True:
        waiting, _, _ = select.select([channel, *([typed] if is_open else [])], [], [], 1.0)
        if typed in waiting:
            data = os.read(typed, PIECE)
            if data:
                channel.sendall(data)
            else:
                is_open = False
                channel.shutdown_write()
        has_ended = channel.exit_status_ready()
        while channel.recv_ready():
            _put(1, channel.recv(PIECE))
        while channel.recv_stderr_ready():
            _put(2, channel.recv_stderr(PIECE))
        if has_ended and not (channel.recv_ready() or channel.recv_stderr_ready()):
            return
        if channel.closed and not channel.exit_status_ready():
            raise EOFError("the connection was closed before the command ended")


def _put(stream: int, data: bytes) -> None:
    while data:
        data = data[os.write(stream, data) :]


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Each key goes there as it is, Ctrl-C too."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin.fileno())
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resized(channel: paramiko.Channel, has_terminal: bool) -> Iterator[None]:
    """The terminal there is as large as the one here."""
    if not has_terminal:
        yield
        return

    def resize(*_: object) -> None:
        columns, rows = shutil.get_terminal_size()
        with contextlib.suppress(paramiko.SSHException, OSError):
            channel.resize_pty(columns, rows)

    before = signal.signal(signal.SIGWINCH, resize)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def forward(target: Target, service: str, port: int | None, local: int | None, say: Say) -> None:
    """Until Ctrl-C: connections to a port of 127.0.0.1 here come to a service's port. Raises InfraError."""
    answer = _asked(target, "forward", service, [], tty=False, port=port)
    there = (answer["address"], int(answer["port"]))
    with connected(target) as transport, _errors(target):
        transport.set_keepalive(15)
        try:
            listener = socket.create_server(("127.0.0.1", there[1] if local is None else local))
        except OSError as error:
            # A service's own port may be taken here: any other one does
            if local is not None:
                raise InfraError(f"127.0.0.1:{local} cannot be listened on: {error.strerror}") from None
            listener = socket.create_server(("127.0.0.1", 0))
        with listener, contextlib.suppress(KeyboardInterrupt):
            say(f"127.0.0.1:{listener.getsockname()[1]} leads to {service} on {target.host}, until Ctrl-C")
            listener.settimeout(1.0)
            while transport.is_active():
                with contextlib.suppress(TimeoutError):
                    client, peer = listener.accept()
                    threading.Thread(target=_lead, args=(transport, there, client, peer, say), daemon=True).start()
            raise EOFError("the connection was closed")


def _lead(
    transport: paramiko.Transport, there: tuple[str, int], client: socket.socket, peer: tuple[str, int], say: Say
) -> None:
    with client:
        try:
            channel = transport.open_channel("direct-tcpip", there, peer, timeout=15)
        except (paramiko.SSHException, OSError) as error:
            say(f"a connection was refused there: {error}")
            return
        with channel:
            ends: list[Any] = [client, channel]
            while ends:
                for one in select.select(ends, [], [])[0]:
                    other = channel if one is client else client
                    try:
                        data = one.recv(PIECE)
                        if data:
                            other.sendall(data)
                            continue
                    except OSError:
                        return
                    ends.remove(one)
                    with contextlib.suppress(OSError):
                        other.shutdown(socket.SHUT_WR) if other is client else channel.shutdown_write()


def url_of(catalogue: Catalogue, wanted: str) -> str:
    """The address of a site, or of a service's first route; of the only site where nothing is named. Raises
    InfraError."""
    stack = catalogue.stack
    sites = {site.name: site for system in catalogue.running.values() for site in system.sites}
    known = {stack.public_name(name): f"https://{stack.public_name(name)}/" for name in sites}
    known |= {name: f"https://{stack.public_name(name)}/" for name in sites}
    for system in catalogue.running.values():
        for service in system.active:
            for route in service.routes[:1]:
                if site := system.site_of(route):
                    known[service.name] = f"https://{stack.public_name(site.name)}{route.public}"
    if not known:
        raise InfraError(f"stack {stack.name} has no site")
    if not wanted and len({*known.values()}) > 1 and len(sites) > 1:
        raise InfraError(f"name a site or a service: {', '.join(sorted(known))}")
    if wanted and wanted not in known:
        raise InfraError(
            f"stack {stack.name} serves no {wanted}: {nearest(wanted, sorted(known), 'sites and services')}"
        )
    return known[wanted] if wanted else known[next(iter(sites))]
