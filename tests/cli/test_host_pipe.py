"""Two commands over two SSH connections, each reading what the other writes."""

import contextlib
import hashlib
import subprocess
import threading

import pytest

from infra.errors import InfraError
from infra.host_pipe import Side, join
from infra.ssh import ConnectionLost, connect
from tests.ssh_server import Server, target


class Shell(Server):
    """Runs what it is asked to in a shell of this machine's, after what its login prints. With `cut` it closes the
    connection once the command has written something."""

    cut = False

    def _run(self, channel, command):
        # Who asked may have gone
        with contextlib.suppress(OSError):
            self._answer(channel, command)

    def _answer(self, channel, command):
        channel.sendall(self.noise)
        process = subprocess.Popen(
            ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

        def feed():
            try:
                while data := channel.recv(65536):
                    process.stdin.write(data)
                    process.stdin.flush()
            except OSError:
                pass
            finally:
                process.stdin.close()

        threading.Thread(target=feed, daemon=True).start()
        while data := process.stdout.read1(65536):
            channel.sendall(data)
            if self.cut and len(data) > 100:
                channel.get_transport().close()
                process.kill()
                return
        channel.sendall_stderr(process.stderr.read())
        channel.send_exit_status(process.wait(30))
        channel.close()


@pytest.fixture
def hosts():
    made = Shell(lambda *_: 0, noise=b"Welcome to this host\nIt is Sunday\n"), Shell(lambda *_: 0)
    yield made
    for server in made:
        server.close()


def joined(hosts, give, take, came=lambda total: None):
    giver, taker = (target(server, host=name) for server, name in zip(hosts, ("old", "new"), strict=True))
    with connect(giver) as one, connect(taker) as other:
        return join(Side(one, giver, ["sh", "-c", give]), Side(other, taker, ["sh", "-c", take]), came)


def test_joined_commands_exchange_data_without_login_banners(hosts):
    ended = joined(
        hosts, "echo question; read answer; echo $answer >&2; exit 3", "read asked; echo $asked, answered; exit 4"
    )
    assert ended.codes == (3, 4) and ended.words == ("question, answered", "")


def test_large_stream_arrives_unchanged_and_is_counted(hosts):
    size, counted = 3_000_000, []
    made = f"head -c {size} /dev/zero | tr '\\0' 'x'"
    ended = joined(hosts, made, "sha256sum >&2", counted.append)
    assert ended.codes == (0, 0) and ended.words[1].split()[0] == hashlib.sha256(b"x" * size).hexdigest()
    assert counted[-1] == size and counted == sorted(counted)


def test_early_end_of_one_command_ends_the_other(hosts):
    ended = joined(hosts, "cat /dev/zero; echo ended >&2", "echo disk is full >&2; exit 11")
    assert ended.codes[1] == 11 and ended.words[1] == "disk is full"


def test_a_command_that_cannot_be_run_is_named(hosts):
    giver = target(hosts[0], host="old", user="ubuntu")
    with connect(giver) as one, pytest.raises(InfraError, match=r"old \(ubuntu@.*\) could not run sh: "):
        join(Side(one, giver, ["sh", "-c", "true"]), Side(one, giver, ["sh", "-c", "true"]), lambda total: None)


def test_a_connection_that_is_cut_is_lost(hosts):
    hosts[0].cut = True
    with pytest.raises(ConnectionLost):
        joined(hosts, "cat /dev/zero", "cat >/dev/null")
