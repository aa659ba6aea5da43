"""What a release means for environments of Python: said before it happens. Pure."""

from agent.documents.manifest import Environment, Manifest
from agent.wording import phrase


def changes(was: Manifest | None, will: Manifest | None) -> list[str]:
    """A line for each environment of a release that differs from the one before."""
    if will is None or was == will:
        return []
    before = {entry["service"]: entry for entry in (was or {}).get("environments", [])}
    return [_line(was, will, before.get(entry["service"]), entry) for entry in will.get("environments", [])]


def _line(was: Manifest | None, will: Manifest, old: Environment | None, new: Environment) -> str:
    service = new["service"]
    if old is None:
        return phrase("environment of {service}: new, made on the host before it is switched", service=service)
    if old["folder"] == new["folder"]:
        return phrase("environment of {service}: unchanged", service=service)
    if old["lock"] == new["lock"] and not _lock_of(will, new):
        return phrase(
            "environment of {service}: made before it is switched, if the lock in the new artefact is another one",
            service=service,
        )
    return phrase(
        "environment of {service}: new ({why} changed), made on the host before it is switched",
        service=service, why=_why(was, will, old, new),
    )  # fmt: skip


def _why(was: Manifest | None, will: Manifest, old: Environment, new: Environment) -> str:
    if _lock_of(was, old) != _lock_of(will, new):
        return phrase("lock")
    if old["version"] != new["version"]:
        return phrase("version of Python")
    selections = [(entry["groups"], entry["extras"]) for entry in (old, new)]
    return phrase("groups or extras") if selections[0] != selections[1] else phrase("project")


def _lock_of(manifest: Manifest | None, entry: Environment) -> str:
    """The hash of its lock; "" where that lies in an artefact."""
    path = f"{entry['lock']}/uv.lock"
    files = manifest["files"] if manifest else []
    return next((file["sha256"] for file in files if file["path"] == path), "")
