"""A person in a service: a command in it, a shell, its port on this machine. Over the stack's own connection; the host
notes down who it was."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import termios
import threading
import tty
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import paramiko

from agent.documents import answers
from agent.documents.requests import AccessPayload
from catalogue.groups import spread_in
from catalogue.loading import Catalogue
from catalogue.parts import members
from catalogue.problems import nearest
from catalogue.relays import relay_name
from infra import hosts, remote
from infra.delivery import who
from infra.errors import InfraError
from infra.ssh import ConnectionLost, Target, connect

PIECE = 32 * 1024
AGENT = "python3 -I -B /var/lib/infra/bin"
ENDED_BY_SIGNAL = 128
NO_READER = ENDED_BY_SIGNAL + signal.SIGPIPE  # as shells say of what is printed into a closed pipe
Say = Callable[[str], None]


@dataclass(frozen=True)
class Access:
    """What a person asks a host for: `how` a service is reached, the `words` of a command in it, whether they have a
    terminal (`tty`), the `port` of the service that is to be reached (None: its own)."""

    how: str
    service: str
    words: list[str]
    tty: bool
    port: int | None = None


def target_of(catalogue: Catalogue, service: str, host: str | None) -> Target:
    """The host that runs a service (`NAME/2` is its second replica); any that is named where there is no service.
    Raises InfraError."""
    stack = catalogue.stack
    targets = hosts.targets(stack, host)
    if service in _spread_hosts(catalogue):
        targets = {name: targets[name] for name in _running_copies(catalogue, service, host)[:1] if name in targets}
        if not targets:
            raise InfraError(
                f"no copy of {service} runs on {host or 'any host of its group'}: infra status shows where they are"
            )
    elif service:
        services_by_host = {
            name: {one.name for system in catalogue.systems_on(name) for one in system.active} for name in stack.hosts
        }
        own = service.partition("/")[0]
        everything = sorted({name for own_names in services_by_host.values() for name in own_names})
        if own not in everything:
            raise InfraError(f"stack {stack.name} runs no {own}: {nearest(own, everything, 'services')}")
        targets = {
            name: target
            for name, target in targets.items()
            if own in services_by_host.get(name.partition("@")[0], set())
        }
        if not targets:
            raise InfraError(f"{host} runs no {own}" if host else f"no host that runs {own} has been made yet")
    if len(targets) > 1:
        raise InfraError(f"name the host with --host: {', '.join(sorted(targets))}")
    return next(iter(targets.values()))


def _spread_hosts(catalogue: Catalogue) -> dict[str, str]:
    """Service that the hosts of a group run together → the first host of its group."""
    stack = catalogue.stack
    return {one.name: leader for leader in members(stack) for _, one in spread_in(stack, catalogue.systems, leader)}


def _running_copies(catalogue: Catalogue, service: str, host: str | None) -> list[str]:
    """The hosts that run a spread service now, or of these the one that is named, as the first host of the group knows.
    Raises InfraError."""
    leader = _spread_hosts(catalogue)[service]
    group = remote.ask(hosts.targets(catalogue.stack, leader)[leader], "status")["group"]
    if group is None or group["error"]:
        raise InfraError(f"{leader}: where {service} runs is not known: {group['error'] if group else 'no release'}")
    places = group["services"].get(service, {"replicas": 0, "hosts": []})["hosts"]
    return [name for name in places if host in (None, name)]


def port_of_relay(catalogue: Catalogue, service: str, host: str | None) -> tuple[str, str | None]:
    """The service, and the host, at which a service's own port is reached: of a spread one the relay on the first host
    of its group."""
    leader = _spread_hosts(catalogue).get(service)
    return (relay_name(service, leader), leader) if leader else (service, host)


def run(target: Target, how: str, service: str, words: Sequence[str]) -> int:
    """Runs a command in a service, or a shell; its exit code. What it prints is printed, what is typed goes there.
    Raises InfraError."""
    has_terminal = _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
    answer = _ask_host(target, Access(how, service, [*words], has_terminal))
    if how != "host" and "enter" not in answer:
        raise InfraError(f"{target}: its answer has nothing to run")
    with connect(target) as transport:
        transport.set_keepalive(15)
        with _errors(target):
            channel = transport.open_session(timeout=15)
            if has_terminal:
                columns, rows = shutil.get_terminal_size()
                channel.get_pty(os.environ.get("TERM", "xterm"), columns, rows)
            if how == "host":
                channel.invoke_shell()
            else:
                line = f"{AGENT} enter {answer.get('enter')}"
                channel.exec_command(line if target.user == "root" else f"sudo -n {line}")
        with _raw() if has_terminal else contextlib.nullcontext(), _follow_resizes(channel, has_terminal):
            carried = Carried(channel)
            carried.run()
        if carried.wrong:
            raise carried.wrong
        if carried.has_no_reader:
            return NO_READER
        code = channel.recv_exit_status() if channel.exit_status_ready() else -1
        if code == -1:
            raise ConnectionLost(f"{target}: the connection was closed before the command ended")
        return code


def _is_terminal(stream: Any) -> bool:
    # One that was closed is none at all
    return stream is not None and not stream.closed and stream.isatty()


def _ask_host(target: Target, access: Access) -> answers.Access:
    payload: AccessPayload = {
        "how": access.how, "service": access.service, "words": access.words, "tty": access.tty, "port": access.port,
        "who": who(),
    }  # fmt: skip
    return remote.ask(target, "reach", payload)


@contextlib.contextmanager
def _errors(target: Target) -> Generator[None]:
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise InfraError(f"{target}: {str(error) or 'the connection was closed'}") from None


class Carried:
    """A command's streams, each by itself, so that none waits for another: what is typed goes there while what it
    prints comes, to the end of both. `has_no_reader` when no one takes what it prints."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self.channel, self.has_no_reader = channel, False
        self.wrong: InfraError | None = None

    def run(self) -> None:
        threading.Thread(target=self._type, daemon=True).start()
        errors = threading.Thread(target=self._print, args=(self.channel.recv_stderr, 2), daemon=True)
        errors.start()
        self._print(self.channel.recv, 1)
        errors.join()
        # The status comes with the end, or not at all
        self.channel.status_event.wait(10)

    def _type(self) -> None:
        try:
            typed = sys.stdin.fileno()
            while data := os.read(typed, PIECE):
                self.channel.sendall(data)
        except (OSError, ValueError, AttributeError, paramiko.SSHException):
            # It was closed here, or what it is typed to has ended
            pass
        with contextlib.suppress(OSError, paramiko.SSHException):
            self.channel.shutdown_write()

    def _print(self, receive: Callable[[int], bytes], stream: int) -> None:
        try:
            while data := receive(PIECE):
                while data:
                    data = data[os.write(stream, data) :]
        except BrokenPipeError:
            self.has_no_reader = True
            self.channel.close()
        except OSError as error:
            self.wrong = InfraError(f"what it prints cannot be written here: {error.strerror or error}")
            self.channel.close()


@contextlib.contextmanager
def _raw() -> Generator[None]:
    """Each key goes there as it is, Ctrl-C too."""
    before = termios.tcgetattr(sys.stdin)

    def give_back(*_: object) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    def end(*_: object) -> None:
        give_back()
        os._exit(ENDED_BY_SIGNAL + signal.SIGTERM)

    earlier = signal.signal(signal.SIGTERM, end)
    try:
        tty.setraw(sys.stdin.fileno())
        yield
    finally:
        give_back()
        signal.signal(signal.SIGTERM, earlier)


@contextlib.contextmanager
def _follow_resizes(channel: paramiko.Channel, has_terminal: bool) -> Generator[None]:
    """The terminal there is as large as the one here. Another thread says so: the one that is interrupted may be in the
    middle of a message."""
    if not has_terminal:
        yield
        return
    changed, is_over = threading.Event(), threading.Event()

    def follow() -> None:
        while not is_over.is_set():
            if changed.wait(0.5):
                changed.clear()
                columns, rows = shutil.get_terminal_size()
                with contextlib.suppress(paramiko.SSHException, OSError):
                    channel.resize_pty(columns, rows)

    threading.Thread(target=follow, daemon=True).start()

    def note(_number: int, _frame: FrameType | None) -> None:
        changed.set()

    before = signal.signal(signal.SIGWINCH, note)
    try:
        yield
    finally:
        is_over.set()
        signal.signal(signal.SIGWINCH, before)


def forward(target: Target, service: str, port: int | None, local: int | None, say: Say) -> None:
    """Until Ctrl-C: connections to a port of 127.0.0.1 here come to a service's port. Raises InfraError."""
    answer = _ask_host(target, Access("forward", service, [], tty=False, port=port))
    address, remote_port = answer.get("address"), answer.get("port")
    if not address or not remote_port:
        raise InfraError(f"{target}: its answer has no port")
    there = (address, remote_port)
    with connect(target) as transport, _errors(target):
        transport.set_keepalive(15)
        local_port = local if local is not None else port or there[1]
        try:
            listener = socket.create_server(("127.0.0.1", local_port))
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
        except (paramiko.SSHException, OSError):
            say(f"nothing listens on port {there[1]} there")
            return
        with channel:
            # Each way by itself: one whose reader is slow holds up no other
            back = threading.Thread(target=_pour, args=(channel.recv, client.sendall, client), daemon=True)
            back.start()
            _pour(client.recv, channel.sendall, channel)
            back.join()


def _pour(receive: Callable[[int], bytes], send: Callable[[bytes], Any], end: Any) -> None:
    with contextlib.suppress(OSError, paramiko.SSHException):
        while data := receive(PIECE):
            send(data)
    with contextlib.suppress(OSError, paramiko.SSHException):
        end.shutdown_write() if isinstance(end, paramiko.Channel) else end.shutdown(socket.SHUT_WR)


def urls_by_name(catalogue: Catalogue) -> dict[str, str]:
    """Name of a site, or of a service with a route → its address."""
    stack = catalogue.stack
    sites = [site.name for system in catalogue.running.values() for site in system.sites]
    urls = {stack.public_name(name): f"https://{stack.public_name(name)}/" for name in sites}
    urls |= {name: f"https://{stack.public_name(name)}/" for name in sites}
    for system in catalogue.running.values():
        for service in system.active:
            for route in service.routes[:1]:
                if site := system.site_of(route):
                    urls[service.name] = f"https://{stack.public_name(site.name)}{route.public}"
    return urls


def url_of(catalogue: Catalogue, target_name: str) -> str:
    """The address of a site, or of a service's first route; of the only site where nothing is named. Raises
    InfraError."""
    stack, urls = catalogue.stack, urls_by_name(catalogue)
    sites = {site.name for system in catalogue.running.values() for site in system.sites}
    if not urls:
        raise InfraError(f"stack {stack.name} has no site")
    if not target_name and len(sites) > 1:
        raise InfraError(f"name a site or a service: {', '.join(sorted(urls))}")
    if target_name and target_name not in urls:
        raise InfraError(
            f"stack {stack.name} serves no {target_name}: {nearest(target_name, sorted(urls), 'sites and services')}"
        )
    return urls[target_name] if target_name else urls[next(iter(sites))]
