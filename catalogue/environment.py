"""Which values an environment can hold, and which of them a file of variables."""

import re

# Beside control characters, as a person calls it; a tab it can hold
UNWRITABLE = {"'": "a '", "\\": "a \\", "${": "a ${"}
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
NAMED = {
    "\r": "a carriage return (a Windows line ending)",
    "\n": "a line break",
    "\0": "a NUL",
    "\u2028": "a line separator (U+2028)",
}


def control(value: str) -> str:
    """The control character of a value, in words and without the value; "" where it has none."""
    match = CONTROL.search(value)
    if match is None:
        return ""
    name = NAMED.get(match[0], f"a control character (U+{ord(match[0]):04X})")
    return f"{name} at its end" if value.endswith(("\r", "\n")) else name


def unwritable(value: str) -> str:
    """What an environment file cannot hold of a value, without the value itself; "" where it can hold all of it."""
    return control(value) or next((name for sign, name in UNWRITABLE.items() if sign in value), "")
