"""What the real plugin does about AWS's bad moments: it waits while it is throttled, and while AWS does not know yet
what the plugin itself has just made."""

import time
from typing import Any

from botocore.config import Config

# As the real plugin by default, whose HTTP client waits for an answer without a limit: what AWS did meanwhile would be
# asked for twice
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 25}, read_timeout=900)
LASTS = 60.0  # seconds for which AWS may not know something new
PAUSE = 0.5
MAKES = ("Create", "Run", "Allocate")
ENDS = ("Delete", "Terminate", "Release")
NAMES = ("RoleName", "InstanceProfileName")


class Patience:
    """What one plugin has made lately: id or name → when."""

    def __init__(self) -> None:
        self.made: dict[str, float] = {}

    def watch(self, client: Any) -> None:
        client.meta.events.register("before-call", self._forget)
        client.meta.events.register("after-call", self._note)
        # Before botocore's own handler, which has this very name and the last word otherwise
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"needs-retry.{service}", self._pause)

    def _forget(self, model: Any, params: Any, **_: Any) -> None:
        """What is deleted is not waited for."""
        if model.name.startswith(ENDS):
            for id in _named_values(params):
                self.made.pop(id, None)

    def _note(self, model: Any, parsed: Any, **_: Any) -> None:
        if model.name.startswith(MAKES) and "Error" not in parsed:
            self.made |= dict.fromkeys(_ids(parsed), time.monotonic())

    def _pause(self, response: Any, request_dict: Any = None, **_: Any) -> float | None:
        """Called by botocore after each attempt; seconds to wait before the next one."""
        code = (response[1] if response else {}).get("Error", {}).get("Code", "")
        if not ("NotFound" in code or code in ("NoSuchEntity", "InvalidParameterValue")):
            return None
        recent = {id for id, when in self.made.items() if time.monotonic() - when < LASTS}
        return PAUSE if _named_values(request_dict) & recent else None


def _named_values(request: Any) -> set[str]:
    """The values of a request of the query protocol, which EC2, IAM and STS speak."""
    body = (request or {}).get("body") or {}
    return {value for value in body.values() if isinstance(value, str)} if isinstance(body, dict) else set()


def _ids(parsed: Any) -> list[str]:
    """Every id and name of what an answer describes."""
    if isinstance(parsed, list):
        return [id for item in parsed for id in _ids(item)]
    if not isinstance(parsed, dict):
        return []
    ids = [v for k, v in parsed.items() if isinstance(v, str) and (k.endswith("Id") or k in NAMES)]
    return ids + [id for value in parsed.values() for id in _ids(value)]
