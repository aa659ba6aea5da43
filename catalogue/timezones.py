"""Time zones by their IANA names, as this machine's database (tzdata) has them."""

import difflib
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator

UTC = "UTC"
# In the database's folder, but of one machine, or of none
_NO_ZONES = {"localtime", "Factory", "posixrules"}


@cache
def names() -> frozenset[str]:
    """Those of tzdata; none on a machine without it."""
    return frozenset(available_timezones() - _NO_ZONES)


def _zone_name(text: str) -> str:
    # Without a database nothing can be compared: hosts that do not know the zone show UTC
    if text == UTC or text in names() or (not names() and "/" in text):
        return text
    allowed = "the name of a time zone (IANA), such as Asia/Tokyo, or UTC"
    by_small_letters = {name.lower(): name for name in sorted(names())}
    candidates = {
        **{name.rpartition("/")[2]: name for name in by_small_letters},
        **{name: name for name in by_small_letters},
    }
    near = difflib.get_close_matches(text.lower().replace(" ", "_"), candidates, 3, 0.75)
    closest = list(dict.fromkeys(by_small_letters[candidates[name]] for name in near))
    raise ValueError(f"{allowed}; nearest: {', '.join(closest)}" if closest else allowed)


TimeZone = Annotated[str, AfterValidator(_zone_name)]
