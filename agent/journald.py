"""journald has no checker of its own and passes over what it does not know: its drop-ins are judged here."""

KEYS = {
    "Storage",
    "Compress",
    "Seal",
    "SplitMode",
    "SyncIntervalSec",
    "RateLimitIntervalSec",
    "RateLimitBurst",
    "SystemMaxUse",
    "SystemKeepFree",
    "SystemMaxFileSize",
    "SystemMaxFiles",
    "RuntimeMaxUse",
    "RuntimeKeepFree",
    "RuntimeMaxFileSize",
    "RuntimeMaxFiles",
    "MaxRetentionSec",
    "MaxFileSec",
    "ForwardToSyslog",
    "ForwardToKMsg",
    "ForwardToConsole",
    "ForwardToWall",
    "TTYPath",
    "MaxLevelStore",
    "MaxLevelSyslog",
    "MaxLevelKMsg",
    "MaxLevelConsole",
    "MaxLevelWall",
    "LineMax",
    "ReadKMsg",
    "Audit",
}


def complaints(path: str, text: str) -> list[str]:
    """What journald would pass over in a drop-in (journald.conf(5), systemd 252)."""
    faults: list[str] = []
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            section = line
            if section != "[Journal]":
                faults.append(f"{path}:{number}: section {section}, but journald reads only [Journal]")
        elif not section:
            faults.append(f"{path}:{number}: {line!r} comes before any section")
        elif section == "[Journal]" and line.partition("=")[0].strip() not in KEYS:
            faults.append(f"{path}:{number}: {line.partition('=')[0].strip()!r} is not a journald setting")
    return faults
