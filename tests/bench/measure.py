"""What the benchmarks share: what a program costs, and tables."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

from program import environment  # noqa: E402

POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Cost:
    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak: float  # MiB
    rc: int
    out: str  # standard output and standard error

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak),
                    self.rc or other.rc, self.out + other.out)


def run(command: Sequence[str]) -> Cost:
    """The peak is VmHWM, looked at often: what wait4 says holds for the process that we forked
    from, too."""
    with tempfile.TemporaryFile() as output:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, env=environment())
        peak = 0
        while True:
            peak = max(peak, high_water(process.pid))
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(POLL_SECONDS)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Cost(wall, used.ru_utime + used.ru_stime, peak / 1024, process.returncode,
                    output.read().decode("utf-8", "replace"))


def high_water(pid: int) -> int:
    """KiB of resident memory at most so far; 0 where it is no longer known."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) if found else 0


def median(costs: Iterable[Cost], what: Callable[[Cost], float]) -> float:
    return statistics.median(map(what, costs))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join([line[0].ljust(widths[0]),
                         *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]))
    print(flush=True)


def say(text: str) -> None:
    print(text, flush=True)
