"""What looks like a secret: by the name that it is assigned to, or by its own form."""

from __future__ import annotations

import re

MARK = "__masked__"
DIGEST = 12  # hexadecimal digits behind the mark of a value, where there is a key
MARKED = re.compile(rf"[\"' ]*({MARK}[0-9a-f]{{{DIGEST}}})[\"' ]*")
NAME = re.compile(
    r"secret|token(?!i[sz])|pass(?:w|phrase|code|key)|pwd|(?<!allow[-_])credential|creds|webhook|cookie|salt|dsn|bearer|masterauth"
    r"|authori[sz]ation"
    # DB_PASS, dbPass, requirepass; neither bypass nor passive
    r"|(?-i:(?<![bB]y)(?<![cC]om)[pP]ass(?![a-z])|(?<!BY)(?<!COM)PASS(?![A-Z]))"
    r"|(?:api|auth|priv|private|signing|encryption|access|account|master|service|session|client|database|db)[-_]?key"
    r"|conn(?:ection)?[-_]?str(?:ing)?(?![a-z])|basic[-_]?auth|fernet|unseal|snmp[-_]?community|sas[-_]?key"
    r"|(?:mfa|2fa|totp|recovery|backup)[-_]?codes?(?![a-z])|(?:root|admin|db|user|mail|smtp|redis|mysql|pg)pw(?![a-z])"
    r"|(?:^|[-_.])(?:keys?|auths?|pw)(?:[-_.]|$)|pw$|(?-i:[a-z]Key$)"
    r"|(?:^|[-_.])(?:sk|pat|jwt|jwks?|otp|pin|seed|hmac|pepper|mnemonic|psk|cred|private)$",
    re.IGNORECASE,
)
# A setting of something secret, such as how long it is or where it is kept
SETTING = re.compile(
    r"(?:^|[-_.])(?:max|min|num)[-_.]"
    r"|[-_.](?:ttl|length|len|size|count|limit|timeout|seconds|minutes|hours|days|age|lifetime|rounds|enabled|disabled"
    r"|required|secure|samesite|httponly|path|file|dir|directory|prefix)$",
    re.IGNORECASE,
)
# What such a setting has for a value: a number with its unit, or how a cookie is sent
OF_SETTING = re.compile(r"\s*([\"']?)(?:\d[\d_.]* ?[A-Za-z]{0,3}|lax|strict|none)\1\s*[;,]?\s*", re.IGNORECASE)
# What a preview and a host's agent have put in a secret's place
OF_PREVIEW = r"\[(secret [^\]\n]{1,40}|another value, not shown)\]"
HARMLESS = re.compile(r"\s*([\"']?)(?:|true|false|yes|no|on|off|null|[01])\1\s*[;,]?\s*", re.IGNORECASE)
SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    # A login in an address; a password may have slashes, a port has them behind it
    re.compile(r"(?<=//)(?:[^\s/\"':]*:(?!\d{1,5}/)[^\s\"']+|[^\s/\"']+)(?=@)"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\b(?:sk|pk|rk|gh[opsur]|github_pat|glpat|npm|xapp|xox[abeprs])[-_][A-Za-z0-9_-]{10,}"),
    re.compile(r"\bAIza[0-9A-Za-z_-]{35}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\b\d{8,10}:[A-Za-z0-9_-]{35}\b"),
    re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
    re.compile(r"(?<=\bBearer )[^\s\"';]+|(?<=\bBasic )[A-Za-z0-9+/=]{8,}"),
    re.compile(r"(?<=hooks\.slack\.com/)[^\s\"']+|(?<=/api/webhooks/)[^\s\"']+|(?<=webhook\.office\.com/)[^\s\"']+"),
    # Hashes of passwords; compose doubles the dollar
    re.compile(r"\$+(?:apr1|2[abxy])\$+[^\s\"',;]+|\{S?SHA\}[\w+/=]+"),
    re.compile(r"\$+[1567y]\$+(?:[\w=,]+\$+)?[\w./]{1,22}\$+[\w./]{20,}"),
)
# A digest (sha256:…) is none, nor is a path
RANDOM = re.compile(r"(?<![A-Za-z0-9+:/])[A-Za-z0-9+=]{32,}")
DIGIT_AND_LETTER = re.compile(r"(?=[^0-9]*[0-9])[^A-Za-z]*[A-Za-z]")
WORD = r"[A-Za-z_][\w.-]*"
QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"

# How systemd, YAML, JSON and shells write a letter by its number
ESCAPED = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(1[0-7]{2}|0[4-7][0-7]))")
PGPASS = re.compile(r"(?P<head>^(?:[^:#\n]*:){4})(?P<value>\S.*)$", re.MULTILINE)


def looks_secret(name: str, value: str = "") -> bool:
    """Does what is assigned to a name look like a secret; without a value by the name alone."""
    if value and HARMLESS.fullmatch(value):
        return False
    return is_secrets_name(name) or _is_random(value) or MARK in value


def is_secrets_name(name: str) -> bool:
    """Whether what has this name is one, and no setting of one."""
    return bool(NAME.search(name) and not SETTING.search(name))


def with_letters(text: str) -> str:
    """A text in which what is written by its number is a letter, a digit or an underscore, where it is one."""

    def letter(match: re.Match[str]) -> str:
        hexadecimal = match[1] or match[2] or match[3]
        number = int(hexadecimal, 16) if hexadecimal else int(match[4], 8)
        character = chr(number) if number < 128 else ""
        return character if character.isalnum() or character in ("_", "-") else match[0]

    return ESCAPED.sub(letter, text)


def is_setting(key: str, value: str) -> bool:
    """Whether a key among those of a secret is a setting of it; by its value too, since an account may be called so."""
    return bool(SETTING.search(key) and OF_SETTING.fullmatch(value))


def _is_random(value: str) -> bool:
    """Whether there is a long run of letters and digits in a value."""
    return any(DIGIT_AND_LETTER.match(run) for run in RANDOM.findall(value))
