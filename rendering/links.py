"""What a release puts behind a link of a host's: artefacts, and environments of Python."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Artefact:
    """What a service's owner built: the host unpacks `image` into `folder`; `into` is a link to `target`, which is that
    folder or lies in it. `programs` are paths in it that units start, `scripts` those that interpreters are given."""

    service: str
    image: str
    into: str
    folder: str
    target: str
    programs: list[str] = field(default_factory=list[str])
    scripts: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Environment:
    """A virtual environment that the host makes in `folder` before the switch, as `pyproject.toml` and `uv.lock` in the
    directory `lock` say; `into` is a link to it. `version` is that of Python ("": the host's `python3`), `index` where
    packages come from ("": the addresses in the lock), `needs` bytes that it takes at least. Making it may take `limit`
    seconds. `programs` are paths in it that units start, `scripts` those that interpreters are given."""

    service: str
    into: str
    folder: str
    lock: str
    version: str
    groups: list[str]
    extras: list[str]
    index: str
    limit: float
    needs: int
    programs: list[str] = field(default_factory=list[str])
    scripts: list[str] = field(default_factory=list[str])
