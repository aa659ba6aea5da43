"""A host's last month on the dashboard: memory, disks, and the answers of its proxy, as plots. Pure."""

from collections.abc import Iterator

from agent.documents.answers import MachineUse, Overview
from agent.monitor import markup
from infra.dashboard.plots import Line, Plot, Point, draw, round_top
from infra.dashboard.readers import Reader

GiB = 1024**3
USE, ERRORS = "use", "wrong"  # the classes of lines


def parts(overview: Overview, reader: Reader) -> Iterator[str]:
    """A figure for the memory, one for each disk, one for the answers; of a host that has no history yet what is in use
    now."""
    figures = [*_uses(overview, reader), *_answers(overview, reader)]
    if figures:
        yield f"<h4>{markup.cell(reader.say('Last 30 days'))}</h4>"
        yield f'<div class="plots">{"".join(figures)}</div>'


def _uses(overview: Overview, reader: Reader) -> Iterator[str]:
    hours = overview["hours"]
    if memory := overview["memory"]:
        points = [(float(hour["at"]), share) for hour in hours if (share := hour["memory"]) is not None]
        yield _use(reader.say("Memory"), memory, points, reader)
    for disk in overview["disks"]:
        path = disk["subject"]
        points = [(float(hour["at"]), hour["disks"][path]) for hour in hours if path in hour["disks"]]
        yield _use(reader.say("Disk {path}", path=path), disk, points, reader)


def _use(name: str, use: MachineUse, points: list[Point], reader: Reader) -> str:
    share = 100 * (1 - use["free"] / use["size"]) if use["size"] else 0.0
    caption = reader.say(
        "{name}: {used} of {size} GiB in use ({share} %)",
        name=name,
        used=f"{(use['size'] - use['free']) / GiB:,.1f}",
        size=f"{use['size'] / GiB:,.1f}",
        share=f"{share:.0f}",
    )
    if not points:
        return _figure(caption, reader.say("no history yet"))
    at, most = max(points, key=lambda point: point[1])
    title = reader.say(
        "{name} in use over 30 days: {share} % now, at most {most} % ({when})",
        name=name,
        share=f"{share:.0f}",
        most=f"{most:.0f}",
        when=reader.date(at),
    )
    plot = Plot(title, [Line(USE, points)], reader.now, top=100, unit=" %")
    return _figure(caption, draw(plot, reader.zone))


def _answers(overview: Overview, reader: Reader) -> Iterator[str]:
    counted = [hour for hour in overview["hours"] if hour["answers"] is not None]
    if not counted:
        return
    answers = [(float(hour["at"]), float(hour["answers"] or 0)) for hour in counted]
    errors = [(float(hour["at"]), float(hour["errors"] or 0)) for hour in counted]
    total, failed = (sum(value for _, value in points) for points in (answers, errors))
    most = max(value for _, value in answers)
    counts = {"total": f"{total:,.0f}", "failed": f"{failed:,.0f}"}
    if partly := sum(hour.get("at_least", False) for hour in counted):
        caption = reader.say(
            "Requests per hour: at least {total} in all, at least {failed} answered with an error (5xx); in "
            "{partly} of the hours the log did not have all requests any more",
            partly=str(partly),
            **counts,
        )
        title = reader.say("{caption}; at least {most} in the busiest hour", caption=caption, most=f"{most:,.0f}")
    else:
        caption = reader.say(
            "Requests per hour: {total} in all, {failed} answered with an error (5xx)",
            **counts,
        )
        title = reader.say("{caption}; at most {most} in an hour", caption=caption, most=f"{most:,.0f}")
    plot = Plot(title, [Line(USE, answers), Line(ERRORS, errors)], reader.now, round_top(most))
    yield _figure(caption, draw(plot, reader.zone))


def _figure(caption: str, content: str) -> str:
    return f"<figure><figcaption>{markup.cell(caption)}</figcaption>{markup.cell(content)}</figure>"
