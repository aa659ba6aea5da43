"""`python -m infra.ready`: what `pulumi up` runs until a host can take a release. It waits until the host answers SSH
with its own key, and prepares it. The request is JSON on standard input."""

import json
import shlex
import sys
import time
from dataclasses import dataclass, field

from paramiko import Transport

from infra.errors import InfraError
from infra.remote import Script, run_script
from infra.ssh import AccessDenied, NeverConnects, Target, connect
from infra.supervision import Say, Work, WorkOutcome, run
from rendering.requests import ReadyRequest

PAUSE = 2.0  # seconds between two attempts
DENIED = 120.0  # seconds that a starting host may not know its user yet
REMIND = 30.0  # seconds between two lines about the same reason


class NotPrepared(InfraError):
    """The host was reached, and what prepares it failed there."""


@dataclass
class Ready(Work):
    """`host` is known once the request was read; `is_preparing` while the script runs there."""

    pause: float = PAUSE
    denied: float = DENIED
    host: str = ""
    is_preparing: bool = False
    _said: dict[str, float] = field(default_factory=dict[str, float])

    def do(self, say: Say) -> WorkOutcome:
        request: ReadyRequest = json.load(sys.stdin)
        target = Target(**request["target"])
        self.host = target.host
        return self.wait(target, request, say)

    def wait(self, target: Target, request: ReadyRequest, say: Say) -> WorkOutcome:
        """Until the host is prepared, or the time of the request is over."""
        began, limit = time.monotonic(), float(request["limit"])
        denied_since = 0.0
        while True:
            remaining = began + limit - time.monotonic()
            try:
                with connect(target, timeout=max(1.0, min(15.0, remaining))) as transport:
                    self._prepare(transport, target, request, max(1.0, began + limit - time.monotonic()), say)
                return WorkOutcome(0, f"{target.host} is ready for a release", {"host": target.host})
            except (NeverConnects, NotPrepared) as error:
                return WorkOutcome(1, f"failed: {error}")
            except InfraError as error:
                reason = str(error)
                denied_since = (denied_since or time.monotonic()) if isinstance(error, AccessDenied) else 0.0
            finally:
                self.is_preparing = False
            if denied_since and time.monotonic() - denied_since > self.denied:
                return WorkOutcome(1, f"failed: login denied for {self.denied:.0f} s: {reason}")
            if time.monotonic() + self.pause > began + limit:
                return WorkOutcome(1, f"failed: {target.host} is not ready for a release after {limit:.0f} s: {reason}")
            self._remind(f"waiting for {target.host}: {reason}", say)
            time.sleep(self.pause)

    def _prepare(self, transport: Transport, target: Target, request: ReadyRequest, remaining: float, say: Say) -> None:
        shell = "sh -s" if target.user == "root" else "sudo -n sh -s"
        command = f"{request['first']}{shell} {shlex.join(request['arguments'])}"
        self.is_preparing = True
        say(f"preparing {target.host}")
        try:
            code, line = run_script(transport, target, Script(command, request["script"], remaining), say)
        except TimeoutError:
            raise NotPrepared(
                f"{target} was reached, but preparing it did not end within {request['limit']} s "
                "(infra:readyTimeout); run again to continue"
            ) from None
        if code:
            raise NotPrepared(f"{target} cannot be prepared: {line or f'exit code {code}'}")

    def _remind(self, line: str, say: Say) -> None:
        if time.monotonic() - self._said.get(line, -REMIND) >= REMIND:
            self._said[line] = time.monotonic()
            say(line)

    def interruption_line(self) -> str:
        if self.is_preparing:
            return f"failed: interrupted while {self.host} was being prepared, which may continue there. Run again"
        return f"failed: interrupted while waiting for {self.host or 'the host'}; nothing was changed there. Run again"


if __name__ == "__main__":
    run(Ready())
