"""Release steps that a release runs: said before it happens. Pure."""

from agent.documents.manifest import Manifest, Step
from agent.wording import phrase


def changes(was: Manifest | None, will: Manifest | None) -> list[str]:
    """A line for each step that the release before it did not have. A host that ran one for an earlier release does not
    run it again."""
    previous_keys = {step["key"] for step in (was or {}).get("steps", [])}
    return [_line(step) for step in (will or {}).get("steps", []) if step["key"] not in previous_keys]


def _line(step: Step) -> str:
    needs = phrase(", once {services} is healthy", services=", ".join(step["needs"])) if step["needs"] else ""
    return phrase(
        "the release step of {service} runs before the switch{needs}: {command} ({limit:.0f} s at most; if it fails, "
        "nothing is switched, or everything is rolled back)",
        service=step["service"], needs=needs, command=step["said"], limit=step["limit"],
    )  # fmt: skip
