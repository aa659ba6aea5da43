"""Where a host's machine is: a place is its region and, from the second machine of that name on, which one it is. Pure.

Every machine of a place has resources of its own in Pulumi (HOST-PLACE-instance), so that a new one is made beside the
one that serves, in another region or in the same one.
"""

import re

_PLACE = re.compile(r"(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)(?:-g(?P<generation>\d+))?")
_RESOURCE = re.compile(rf"(?P<host>.+)-(?P<place>{_PLACE.pattern})-(?P<end>instance|release-apply|data-disk)")
FIRST = 1


def place_of(region: str, generation: int = FIRST) -> str:
    """The first machine's place is its region's name, as it was before there was a second one."""
    return region if generation == FIRST else f"{region}-g{generation}"


def region_of(place: str) -> str:
    """A name that is no place is a region of its own."""
    match = _PLACE.fullmatch(place)
    return match["region"] if match else place


def generation_of(place: str) -> int:
    match = _PLACE.fullmatch(place)
    return int(match["generation"] or FIRST) if match else FIRST


def of_instance(name: str) -> tuple[str, str] | None:
    """Host and place, by the name that an instance has in Pulumi; None of a name that the program does not give."""
    return _of(name, "instance")


def of_release(name: str) -> tuple[str, str] | None:
    """The same by the name of the command that brings a host its release."""
    return _of(name, "release-apply")


def of_data_disk(name: str) -> tuple[str, str] | None:
    """The same by the name of its data disk."""
    return _of(name, "data-disk")


def _of(name: str, end: str) -> tuple[str, str] | None:
    match = _RESOURCE.fullmatch(name)
    return (match["host"], match["place"]) if match and match["end"] == end else None
