#!/usr/bin/python3
"""What watching costs: 50 accounts in IDLE for a minute, and the time from a delivery by LMTP to
rspamd's own count. Prints tables and judges nothing.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

from measure import say, table  # noqa: E402

from program import Program  # noqa: E402
from servers import Stack, crlf  # noqa: E402
from watching import Watch  # noqa: E402

GIVE_UP = 60  # seconds for one delivery


def cpu(pids: list[int]) -> float:
    """Seconds on a processor so far, of all of them."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def private(pids: list[int]) -> float:
    """MiB that are no other process's as well."""
    kib = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kib += sum(map(int, re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE)))
    return kib / 1024


def shared(pids: list[int]) -> float:
    """MiB of all of them, what several have counted once (Pss)."""
    return sum(int(re.findall(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(),
                              re.MULTILINE)[0]) for pid in pids) / 1024


def idle(watch: Watch, seconds: float) -> None:
    pids = [watch.process.pid, *watch.idlers()]
    rows = []
    begun, used = time.monotonic(), cpu(pids)
    for _ in range(4):
        time.sleep(seconds / 4)
        passed = time.monotonic() - begun
        rows.append((f"{passed:.0f} s", f"{(cpu(pids) - used) / passed:.4%}",
                     f"{private(pids):.1f} MiB", f"{shared(pids):.1f} MiB"))
    assert [watch.process.pid, *watch.idlers()] == pids, "one of them was replaced"
    say(f"\n{len(pids) - 1} accounts in IDLE, in {len(pids)} processes:")
    table(("after", "CPU of one", "private", "Pss"), rows)


def mail(n: int) -> bytes:
    words = " ".join(f"word{n}and{i}" for i in range(40))
    return crlf(f"From: a@b.example\nSubject: number {n}\n\n{words}\n".encode())


def deliver(stack: Stack, users: list[str], count: int) -> None:
    seconds = []
    before = sum(stack.rspamd.learns())
    for n in range(count):
        begun = time.monotonic()
        stack.dovecot.lmtp(users[n % len(users)], mail(n))
        while sum(stack.rspamd.learns()) == before + n:
            if time.monotonic() - begun > GIVE_UP:
                sys.exit(f"delivery {n} was not learned in {GIVE_UP} s")
            time.sleep(0.002)
        seconds.append(time.monotonic() - begun)
        time.sleep(0.05)
    seconds.sort()
    say(f"\nfrom LMTP to rspamd's count, {count} single deliveries (Dovecot's IDLE takes 0.5 s):")
    table(("median", "p90", "p99", "longest"),
          [tuple(f"{seconds[min(int(count * part), count - 1)]:.3f} s"
                 for part in (0.5, 0.9, 0.99, 1))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--deliveries", type=int, default=200)
    options = parser.parse_args()
    users = [f"user{n}@example.org" for n in range(options.accounts)]
    with tempfile.TemporaryDirectory() as place, Stack(users=users) as stack:
        program = Program(Path(place))
        program.configure(stack, {user: 'mailbox "INBOX" { class = spam }' for user in users})
        watch = Watch(program)
        watch.wait_ready(len(users))
        idle(watch, options.seconds)
        deliver(stack, users, options.deliveries)
        watch.stop()
        say(watch.err)


if __name__ == "__main__":
    main()
