"""Names of alerts and of measures as earlier versions wrote them: kept releases, and what a host remembers, have them.
The same as in catalogue/alert_names.py, since files of earlier versions have them too."""

ALERTS = {
    "container-attached": "container-detached",
    "made-room": "memory-freed",
    "memory-kills": "oom-kills",
    "overridden": "release-overridden",
    "service-unwell": "service-unhealthy",
    "single-twice": "single-runs-twice",
    "tag-not-taken": "tag-not-deployed",
}
MEASURES = {
    "memory kills": "oom kills",
    "service unwell": "service unhealthy",
    "single twice": "single runs twice",
    "unit stopped": "memory freed",
}


def current_alert(name: str) -> str:
    """An alert's name today."""
    return ALERTS.get(name, name)


def current_measure(name: str) -> str:
    """A measure's name today."""
    return MEASURES.get(name, name)
