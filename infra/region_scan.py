"""`infra scan-regions`: the regions in other repositories (scan.py), changed where that is wanted, and in lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.quoting import count
from infra import scan
from infra.errors import InfraError
from infra.foreign import one_line, visible

UNREADABLE = "a link, a pipe, a device, over 4 MiB, too deep, in UTF-16, or not readable"
VENDORED = "installed packages and built files; --vendored looks into them"


@dataclass(frozen=True)
class RegionScan:
    """The files that mention the region `old`; `is_written` once they were changed."""

    old: str
    files: list[scan.ScannedFile]
    passed_over: scan.PassedOver
    is_written: bool

    @property
    def remaining(self) -> int:
        """The mentions of the old region that are still there."""
        return sum(mention.becomes is None or not self.is_written for file in self.files for mention in file.mentions)

    def lines(self) -> Iterator[str]:
        """Each mention, the changes where they are only shown, what to look at by hand, and the count."""
        yield from self._mention_lines()
        diffs = "\n".join(file.diff for file in self.files if file.new_text != file.text)
        if diffs and not self.is_written:
            yield f"\n{visible(diffs)}\n"
        if any(mention.kind in scan.ELSEWHERE for file in self.files for mention in file.mentions):
            yield "an ARN or an endpoint may name what does not move with a stack (a bucket, a queue): look at those"
        yield from self._place_lines()
        total = sum(len(file.mentions) for file in self.files)
        changed = ", changed" if self.is_written and total > self.remaining else ""
        yield (
            f"{count(total, 'mention')} of {self.old} in {count(len(self.files), 'file')}{changed}, "
            f"{self.remaining} left"
        )
        yield from _skipped_lines(UNREADABLE, self.passed_over.unread)
        yield from _skipped_lines(VENDORED, self.passed_over.vendored)

    def _mention_lines(self) -> Iterator[str]:
        for file in self.files:
            for mention in file.mentions:
                remark = "" if mention.becomes else ": cannot be changed without knowing what has this name"
                where = f"{file.name}:{mention.line}: {mention.kind} in {scan.a_file(file.kind)}"
                yield one_line(f"{where}: {mention.name}{remark}")

    def _place_lines(self) -> Iterator[str]:
        for file in self.files:
            for line, place in scan.places_left(file, self.old):
                what = f"names {place} beside the region: places are not changed, correct it by hand"
                yield one_line(f"{file.name}:{line}: {what}")


def _skipped_lines(reason: str, paths: list[Path]) -> Iterator[str]:
    if paths:
        others = f", and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield one_line(f"not looked at ({reason}): {paths[0]}{others}")


def scan_regions(paths: list[Path], old: str, new: str, change: bool, everything: bool) -> RegionScan:
    """Searches the paths, with `everything` vendored ones too, and changes the files if `change`. Raises InfraError."""
    for region in (old, new):
        if not scan.REGION.fullmatch(region):
            raise InfraError(f"{region!r} is no region; a region is such as ap-northeast-1")
    if old == new:
        raise InfraError(f"--from and --to are both {old}: name two regions")
    if missing := [str(path) for path in paths if not path.exists()]:
        raise InfraError(f"these paths do not exist: {', '.join(missing)}")
    passed_over = scan.PassedOver()
    files = list(scan.scan(paths, old, new, passed_over, everything))
    for file in files if change else []:
        scan.write(file)
    return RegionScan(old, files, passed_over, change)
