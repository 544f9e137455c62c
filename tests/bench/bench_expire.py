#!/usr/bin/python3
"""What retention costs: 100,000 processed messages expire in one run of learnspool, against a
bare scripted UID STORE and UID EXPUNGE of the same messages on the same Dovecot.

The mailbox is filled anew for each round, by COPY from a template; the two alternate, after a
round that is not counted. Prints a table and judges nothing.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

from measure import Cost, median, run, say, table  # noqa: E402

from program import Program  # noqa: E402
from servers import Item, Stack  # noqa: E402

USER, BOX, TEMPLATE = "spam@example.org", "INBOX", "Template"
POLICY = "retention {{ learned = 0s  known = 0s  skipped = 0s  max-per-run = {} }}\n"


class Bench:
    def __init__(self, stack: Stack, place: Path, count: int) -> None:
        self.stack = stack
        self.count = count
        self.program = Program(place)
        self.program.configure(stack, {USER: f'mailbox "{BOX}" {{ class = spam }}'},
                               top=POLICY.format(count))
        # They bear the mark of an earlier run: none of them needs to be learned.
        tiny: Item = b"Subject: x\r\n\r\nx\r\n", ("$LearnedSpam",), None
        stack.dovecot.append_many(USER, TEMPLATE, [tiny] * count)

    def fill(self) -> None:
        with self.stack.dovecot.session(USER, TEMPLATE) as link:
            self.stack.dovecot.check(link.copy("1:*", BOX))

    def bare(self) -> float:
        """Two commands over one connection, whose answers are read and thrown away; the seconds
        from before the log-in."""
        self.fill()
        dovecot = self.stack.dovecot
        begun = time.monotonic()
        with dovecot._connect() as link, link.makefile("rb") as lines:
            lines.readline()
            for command in (f'LOGIN "{USER}" "{dovecot.passwords[USER]}"', f"SELECT {BOX}",
                            r"UID STORE 1:* +FLAGS.SILENT (\Deleted)", "UID EXPUNGE 1:*"):
                dovecot._command(link, lines, command.encode())
        return time.monotonic() - begun

    def learnspool(self) -> Cost:
        self.fill()
        shutil.rmtree(self.program.ledger)
        self.program.ledger.mkdir()
        learn = run(self.program.command("learn"))
        cost = run(self.program.command("expire"))
        found = f"expired {self.count} "
        if learn.rc or cost.rc or found not in cost.out:
            raise SystemExit(f"bench: {learn.out}{cost.out}")
        return cost


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--messages", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--format", default="maildir", help="Dovecot's mailbox format")
    args = options.parse_args()

    with (Stack(dovecot={"mail_format": args.format}) as stack,
          tempfile.TemporaryDirectory() as place):
        bench = Bench(stack, Path(place), args.messages)
        bench.bare()
        theirs, ours = [], []
        for _ in range(args.rounds):
            theirs.append(bench.bare())
            ours.append(bench.learnspool())
            say(f"    bare {theirs[-1]:.2f} s, learnspool {ours[-1].wall:.2f} s")
        a, b = statistics.median(theirs), median(ours, lambda c: c.wall)
        say(f"\n{args.format}, medians of {args.rounds} rounds")
        table(("expire", "bare STORE + EXPUNGE", "learnspool", "ratio", "CPU", "peak"),
              [(f"{args.messages}", f"{a:.2f} s", f"{b:.2f} s", f"{b / a:.2f}",
                f"{median(ours, lambda c: c.cpu):.2f} s",
                f"{max(c.peak for c in ours):.1f} MiB")])


if __name__ == "__main__":
    main()
