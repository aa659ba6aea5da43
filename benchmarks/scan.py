"""`make bench-scan`: how long `infra scan-regions` takes over 10,000 files; needs no lab."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS, FILES, MENTIONS = 5, 10_000, 39  # the WatchMe document counts 39 files that name the region
LINE = "import { thing } from './thing'; // nothing about where it runs\n"


def repository(folder: Path) -> None:
    """Files of 3 KB in folders of 100; every so many of them name the region once."""
    for number in range(FILES):
        path = folder / f"package{number // 100}" / f"file{number}.ts"
        path.parent.mkdir(exist_ok=True)
        names_region = number % (FILES // MENTIONS) == 0 and number // (FILES // MENTIONS) < MENTIONS
        path.write_text(LINE * 48 + ("const region = 'ap-southeast-2';\n" if names_region else ""))


def main() -> None:
    infra = str(Path(sys.executable).with_name("infra"))
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        repository(Path(folder))
        for _ in range(ROUNDS):
            start = time.perf_counter()
            scan = [infra, "scan-regions", folder, "--from", "ap-southeast-2", "--to", "ap-northeast-1"]
            process = subprocess.run(scan, capture_output=True, text=True, check=False, timeout=300)
            seconds.append(time.perf_counter() - start)
            if f"{MENTIONS} mentions of ap-southeast-2 in {MENTIONS} files" not in process.stdout:
                sys.exit(f"bench: {process.stdout[-500:]}{process.stderr[-500:]}")
    cells = f"{statistics.median(seconds):.2f} s | {min(seconds):.2f} s | {max(seconds):.2f} s"
    print(f"| {ROUNDS} rounds | median | least | most |\n|---|---|---|---|\n| scan-regions, {FILES} files | {cells} |")


if __name__ == "__main__":
    main()
