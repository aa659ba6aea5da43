"""What on a host is in force in a release's place: drop-ins of its units that no release brought, other configuration
of its public names, a proxy that runs something else than its files say. The release's own files would not show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from agent import adopting, away, proxies
from agent.desired_state import DesiredFile
from agent.dropins import directives, overridden_settings, starts_otherwise, variables_of
from agent.managers import split
from agent.outcome import Refused
from agent.proxy import Proxy
from agent.store import Release
from agent.units import OF_ACCOUNT
from agent.wording import Phrase, phrase
from agent.world import World

SYSTEM = "/etc/systemd/system"
# In systemd's order; a unit in one of FIRST hides the release's. What is below /usr/lib is of packages
FIRST = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
)
LATER = (
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/run/systemd/generator.late",
)
FENCED = (SYSTEM, "/etc/systemd/user")  # where agent/away.py keeps units from starting
MOST, MOST_BYTES = 64, 256 * 1024  # drop-ins of a unit, and their bytes, that are read: an account can lay any number


class Override(NamedTuple):
    """`path` is where it stands, `found` what it does."""

    path: str
    found: str


def check(world: World, base: Release | None, target: Release) -> None:
    """Raises Refused where a release would not be in force, naming the file. What only runs otherwise is started again
    by the release."""
    ours = {file.path for release in (base, target) if release for file in release.files}
    links = {link["path"] for release in (base, target) if release for link in release.manifest["links"]}
    folders = Folders(world, ours)
    overriding = [
        *_unit_overrides(folders, target),
        *_proxy_overrides(folders, target),
        *_site_overrides(world, target, ours | links),
    ]
    if overriding:
        path, what = overriding[0]
        more = (
            f" (and {len(overriding) - 1} more: {', '.join(entry[0] for entry in overriding[1:])})"
            if len(overriding) > 1
            else ""
        )
        raise Refused(
            f"{path} {what}: the release would not take effect{more}. Add its settings to the catalogue, move the "
            "file away (keep it until the release serves), and run again"
        )


def list_overrides(world: World, release: Release) -> list[Override]:
    """What is in force in the place of the release that serves."""
    ours = {file.path for file in release.files} | {link["path"] for link in release.manifest["links"]}
    folders = Folders(world, ours)
    return [
        *_unit_overrides(folders, release),
        *_proxy_overrides(folders, release),
        *_not_read(world, release),
        *_site_overrides(world, release, ours, serves=True),
        *_process_overrides(world, release),
    ]


def _site_overrides(world: World, release: Release, ours: set[str], serves: bool = False) -> Iterator[Override]:
    """Configuration of proxies, beside the release's, that has one of its public names."""
    for proxy in proxies.PROXIES.values():
        if proxy.has(release):
            yield from (Override(*entry) for entry in proxy.others(world, release.manifest["names"], ours, serves))


def _process_overrides(world: World, release: Release) -> Iterator[Override]:
    """What a proxy runs in the place of its files."""
    for proxy in proxies.PROXIES.values():
        if proxy.has(release):
            yield from (Override(*entry) for entry in proxy.running(world))


class Places(NamedTuple):
    """Where systemd looks for a unit and its drop-ins, in its order: `first` hides what is in `own`, the release's."""

    first: tuple[str, ...]
    own: str
    later: tuple[str, ...]


def _places(world: World, account: str | None, home: str) -> Places:
    if account is None:
        return Places(FIRST, SYSTEM, LATER)
    user = world.account(account)
    run = f"/run/user/{user.uid}/systemd" if user else ""
    first = (f"{run}/user.control", f"{run}/transient", f"{run}/generator.early") if run else ()
    later = (f"{run}/user", "/run/systemd/user", f"{run}/generator") if run else ("/run/systemd/user",)
    shared = (f"{home}/.local/share/systemd/user", "/usr/local/share/systemd/user", "/usr/local/lib/systemd/user")
    last = (f"{run}/generator.late",) if run else ()
    own = f"{home}/{OF_ACCOUNT}"
    return Places((f"{own}.control", *first), own, ("/etc/systemd/user", *later, *shared, *last))


def _unit_overrides(folders: Folders, release: Release) -> Iterator[Override]:
    world = folders.world
    homes = {account["name"]: account["home"] for account in release.manifest["accounts"]}
    files_of = _files_of_units(release)
    for unit in release.manifest["units"]:
        account, name = split(unit["name"])
        places = _places(world, account, homes.get(account or "", ""))
        names = dict.fromkeys((name, _template(name)))
        of_unit = [file for one in names for file in files_of.get(f"{places.own}/{one}", ())]
        released = [entry for file in sorted(of_unit, key=_order) for entry in directives(file.content, _order(file))]
        if not released:
            # A unit of a package, which the release only starts
            continue
        for path in _hiding(world, places, name, folders.ours):
            yield Override(path, phrase("replaces {name}", name=unit["name"]))
        files = {entry.value.lstrip("-") for entry in released if entry.name == "EnvironmentFile"}
        names_of_files = (variables_of(file.content) for file in release.files if file.path in files)
        variables = frozenset(name for names in names_of_files for name in names)
        paths = {_order(file): file.path for file in of_unit}
        count, size = 0, 0
        for path in _drop_ins(folders, places, name):
            content = _head(world, path, MOST_BYTES - size + 1)
            count, size = count + 1, size + len(content)
            if count > MOST or size > MOST_BYTES:
                limit = phrase("{count} drop-ins of {size} KiB in total", count=MOST, size=MOST_BYTES // 1024)
                overrides = phrase(
                    "is beyond the limit of drop-ins that are checked for {name}: {limit}",
                    name=unit["name"],
                    limit=limit,
                )
                yield Override(path, overrides)
                break
            file = path.rsplit("/", 1)[1]
            if file in paths:
                yield Override(path, phrase("replaces {name}", name=paths[file]))
            elif names := overridden_settings(released, directives(content, file), variables):
                yield Override(path, phrase("sets {names} of {unit}", names=", ".join(names), unit=unit["name"]))


def _proxy_overrides(folders: Folders, release: Release) -> Iterator[Override]:
    """What starts a proxy, whose unit is a package's, with another configuration than the release's."""
    world = folders.world
    for proxy in filter(None, (proxies.by_unit(unit["name"]) for unit in release.manifest["units"])):
        name = proxy.unit
        # A package's own unit is read before the generator's last
        units = [f"{place}/{name}" for place in (*FIRST, SYSTEM, *LATER[:-1]) if f"{place}/{name}" not in folders.ours]
        in_its_place = [path for path in units if world.exists(path)][:1]
        for path in [*in_its_place, *_drop_ins(folders, Places(FIRST, SYSTEM, LATER), name)]:
            if starts_otherwise(proxy, directives(_head(world, path, MOST_BYTES))):
                yield Override(path, _another_configuration(proxy))


def _another_configuration(proxy: Proxy) -> Phrase:
    return phrase("sets ExecStart of {unit} to a command that may not read {file}", unit=proxy.unit, file=proxy.main)


def _hiding(world: World, places: Places, name: str, ours: set[str]) -> Iterator[str]:
    """Units that systemd takes for the release's. Of an instance a file of its own comes before its template."""
    own = f"{places.own}/{name}"
    for place in places.first:
        yield from (
            f"{place}/{one}" for one in dict.fromkeys((name, _template(name))) if world.exists(f"{place}/{one}")
        )
    if _template(name) != name and own not in ours:
        for path in (f"{place}/{name}" for place in (places.own, *places.later)):
            # An alias of the template is the template
            target = (world.link_target(path) or "").rsplit("/", 1)[-1]
            if path not in ours and target != _template(name) and world.exists(path):
                yield path


def _not_read(world: World, release: Release) -> Iterator[Override]:
    """Units whose files, and drop-ins, are not those that systemd has read."""
    names = [unit["name"] for unit in release.manifest["units"] if not split(unit["name"])[0]]
    names = [name for name in names if "@." not in name]
    output = (
        world.run("systemctl", "show", "--property=Id,NeedDaemonReload", *names, timeout=30).output if names else ""
    )
    for block in output.split("\n\n"):
        state = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if state.get("NeedDaemonReload") == "yes" and (name := state.get("Id")) in names:
            what = phrase(
                "has changed since systemd read it, and the earlier content is in effect: systemctl daemon-reload"
            )
            yield Override(f"{SYSTEM}/{name}", what)


def _order(file: DesiredFile) -> str:
    return file.path.rsplit("/", 1)[1] if file.path.rsplit("/", 1)[0].endswith(".d") else ""


class Folders:
    """What is in systemd's places. Each place is read once: most have few folders of drop-ins, and a host many units.

    `ours` are the paths of the releases' files, those that are yet to be brought among them."""

    def __init__(self, world: World, ours: set[str]) -> None:
        self.world, self.ours = world, ours
        self._in_place: dict[str, set[str]] = {}
        self._ours_in: dict[str, set[str]] = {}
        for path in ours:
            folder, _, name = path.rpartition("/")
            self._ours_in.setdefault(folder, set()).add(name)

    def listing(self, place: str, folder: str) -> list[str]:
        """What an account laid there, or cannot be read, is none."""
        if place not in self._in_place:
            self._in_place[place] = set(self._read(place))
        return self._read(f"{place}/{folder}") if folder in self._in_place[place] else []

    def ours_in(self, path: str) -> set[str]:
        return self._ours_in.get(path, set())

    def _read(self, path: str) -> list[str]:
        with suppress(OSError):
            return self.world.listing(path)
        return []


def _drop_ins(folders: Folders, places: Places, name: str) -> Iterator[str]:
    """Those that are not of the release, in systemd's order: its own name's before its kind's."""
    kind = f"{name.rpartition('.')[2]}.d"
    everywhere = (*places.first, places.own, *places.later)
    places_and_folders = [(place, folder) for place in everywhere for folder in _folders(name) if folder != kind]
    # In /run it is of the machine that this one runs in (LXC), made again at each boot
    places_and_folders += [(place, kind) for place in everywhere if not place.startswith("/run/")]
    seen_paths: set[str] = set()
    for place, folder in places_and_folders:
        # Of two of a name the first counts
        here = [file for file in folders.listing(place, folder) if file not in seen_paths]
        for file in here:
            is_fence = place in FENCED and file.startswith((away.DROP_IN, adopting.DROP_IN))
            if file.endswith(".conf") and not is_fence and f"{place}/{folder}/{file}" not in folders.ours:
                yield f"{place}/{folder}/{file}"
        seen_paths.update(here)
        if place == places.own:
            # Those that the release is yet to bring, too
            seen_paths.update(folders.ours_in(f"{place}/{folder}"))


def _head(world: World, path: str, size: int) -> bytes:
    with suppress(OSError):
        return world.head(path, size) or b""
    return b""


def _files_of_units(release: Release) -> dict[str, list[DesiredFile]]:
    """A release's files by the path of the unit that they are, or are drop-ins of."""
    files_of: dict[str, list[DesiredFile]] = {}
    for file in release.files:
        folder = file.path.rpartition("/")[0]
        unit = folder[: -len(".d")] if folder.endswith(".d") else file.path
        files_of.setdefault(unit, []).append(file)
    return files_of


def _template(name: str) -> str:
    """The unit that an instance is made of; any other unit itself."""
    stem, _dot, kind = name.rpartition(".")
    prefix, sign, _instance = stem.partition("@")
    return f"{prefix}@.{kind}" if sign else name


def _folders(name: str) -> list[str]:
    """Where systemd looks for a unit's drop-ins: of its own name, of its template's, of what these begin with, of its
    kind."""
    stem, _dot, kind = name.rpartition(".")
    prefix, sign, instance = stem.partition("@")
    parts = prefix.split("-")
    prefixes = [prefix, *("-".join(parts[:count]) + "-" for count in range(len(parts) - 1, 0, -1))]
    ends = dict.fromkeys([f"@{instance}", "@"] if sign else [""])
    return [*(f"{one}{end}.{kind}.d" for one in prefixes for end in ends), f"{kind}.d"]
