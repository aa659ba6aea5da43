"""A rotation on one host after the other. Where one keeps the former value, the earlier ones get it again too; where
that cannot be, it is said which host has which value, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from catalogue.loading import Catalogue
from infra import hosts, rotating
from infra.bringing import Say
from infra.errors import InfraError
from infra.move import run
from infra.rotating import Former, Ready, Share, Versions

NEW, FORMER, UNKNOWN = "new", "former", "unknown"


@dataclass
class HostByHost:
    """A rotation under way: `digests` are by host those of what the stack has, `former` is the value before it."""

    catalogue: Catalogue
    now: Ready
    digests: Mapping[str, Versions]
    former: Former
    ask_lock: run.Ask
    say: Say
    states: dict[str, str] = field(default_factory=dict[str, str])
    is_certain: bool = False

    def rotate(self) -> list[str]:
        """Brings the value to each host that does not have it; a line for each. Raises InfraError."""
        lines: list[str] = []
        pending = self.now.pending(self.digests)
        pending_hosts = {share.host for share in pending}
        hosts_here = [share.host for share in self.now.rotation.shares]
        self.states = {host: FORMER if host in pending_hosts else NEW for host in hosts_here}
        earlier: list[Share] = []
        for share in pending:
            self.say(f"{self._words(share)} restart with the new value")
            try:
                lines.append(self._bring(share, self.now, is_first=not earlier))
            except InfraError as error:
                self.states[share.host] = FORMER if self.is_certain else UNKNOWN
                if len(self.states) == 1:
                    raise
                if self.former.is_restored:
                    self._go_back(earlier)
                raise type(error)(f"{str(error).rstrip('.')}. {self._account()}") from None
            except BaseException:
                self.states[share.host] = UNKNOWN
                if len(self.states) > 1:
                    self.say(self._account())
                raise
            self.states[share.host] = NEW
            earlier.append(share)
        return lines

    def _words(self, share: Share) -> str:
        return f"{self.now.rotation.path}: {', '.join(share.services)} on {share.host}"

    def _bring(self, share: Share, now: Ready, is_first: bool = False) -> str:
        """`is_certain` says after an error whether the host has what it had."""
        self.is_certain = False
        try:
            # What was brought to the host before it is recorded by now
            outputs = now.outputs if is_first else hosts.outputs(self.catalogue.stack)
        except InfraError:
            self._undo()
            raise
        fresh = replace(now, outputs=outputs)
        return rotating.bring(self.catalogue, fresh, share, rotating.Ways(self.ask_lock, self.say, self._undo))

    def _undo(self) -> None:
        self.is_certain = True
        self.former.restore(self.say)

    def _go_back(self, earlier: list[Share]) -> None:
        """Brings the former value, which the stack's file has again, to the hosts that have the new one; the last of
        them first. One that refuses it keeps the new one."""
        for share in reversed(earlier):
            self.say(f"{self._words(share)} go back to the former value")
            served = {place: self.digests[share.host][place] for place in share.places}
            try:
                self._bring(share, replace(self.now, versions={share.host: served}))
                self.states[share.host] = FORMER
            except InfraError as error:
                self.say(f"{share.host}: {error}")
                if not self.is_certain:
                    self.states[share.host] = UNKNOWN
                    # It is settled before anything else is brought
                    return
            except BaseException:
                self.states[share.host] = UNKNOWN
                self.say(self._account())
                raise

    def _account(self) -> str:
        """Which host has which value, and what brings them together."""
        rotation, stack = self.now.rotation, self.catalogue.stack
        own = FORMER if self.former.is_restored else NEW
        if {*self.states.values()} == {own}:
            return f"{', '.join(self.states)} and the stack have the {own} value of {rotation.path}"
        words = {NEW: "with the new value", FORMER: "with the former value", UNKNOWN: "with one of the two"}
        by_state = {state: [host for host, one in self.states.items() if one == state] for state in words}
        parts = [f"{words[state]}: {', '.join(names)}" for state, names in by_state.items() if names]
        line = f"{rotation.path}, {'; '.join(parts)}; the stack has the {own} one, which all of them get by "
        line += rotation.command(stack.name)
        if own == NEW:
            line += f"; to go back, set the former value first: infra secret set {rotation.path} --stack {stack.name}"
        return line
