"""What a host's proxy says of its requests: agent/traffic.py, which goes there by itself."""

import time

from agent import proxies
from agent.documents.moves import TrafficAnswer, TrafficPayload
from infra.answers import checked_traffic
from infra.errors import InfraError
from infra.foreign import clean
from infra.remote import run_program
from infra.ssh import Target, connect


def ask_traffic(target: Target, program: str, within: float, failed_since: float | None = None) -> TrafficAnswer | None:
    """The requests of the last `within` seconds, and how many failed since `failed_since`, of this machine's
    time.monotonic(); None where the host does not say. `program` is the text of agent/traffic.py."""
    try:
        with connect(target, timeout=5) as transport:
            payload: TrafficPayload = {
                "within": within, "failed_within": _seconds_since(failed_since), **proxies.signs_of_traffic(),
            }  # fmt: skip
            answer = next((event for event in run_program(transport, target, program, payload) if event), None)
            return checked_traffic(clean(answer), str(target)) if answer else None
    except InfraError:
        return None


def _seconds_since(began: float | None) -> float:
    """Up to now, when the connection is there; a second more for the start of the program on the host."""
    return 0.0 if began is None else time.monotonic() - began + 1
