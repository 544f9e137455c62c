#!/usr/bin/python3
"""How fast learnspool learns: end to end over IMAPS, against rspamc -n 16 on local files.

Private Dovecot, rspamd and Redis. The same messages in the same order, rspamd's memory flushed
before each round, the two alternating. Prints tables and judges nothing.

    make bench
    LEARNSPOOL=build/learnspool tests/bench/bench_learn.py --mail DIR    # DIR/spam, DIR/ham
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.dont_write_bytecode = True

from measure import Cost, median, run, say, table  # noqa: E402

import corpus  # noqa: E402
from program import Program  # noqa: E402
from servers import HOST, Rspamd, Stack, crlf  # noqa: E402

ACCOUNTS = {"spam": "spam@example.org", "ham": "ham@example.org"}
MARKS = "($LearnedSpam $LearnedHam $LearnSkipped)"
REQUESTS = 16
MAX_SIZE = 10 << 20
HEAD = ("learn", "messages", "rspamc -n 16", "learnspool", "rate", "CPU/message", "peak",
        "learned (spam, ham)")

Mails = dict[str, list[bytes]]  # by class


def distinct(mails: list[bytes], count: int) -> Iterator[bytes]:
    """So many: the mails over and over, each with a word of its own in its subject."""
    for number, raw in enumerate(itertools.islice(itertools.cycle(mails), count)):
        word = b"Subject: w%dx " % number
        head, blank, body = raw.partition(b"\n\n")
        head, found = re.subn(rb"(?im)^Subject:[ \t]*", word, head, count=1)
        yield (head if found else word + b"\n" + head) + blank + body


def sample(count: int) -> Mails:
    """Half of it spam."""
    return {"spam": list(distinct(corpus.spam(), count // 2)),
            "ham": list(distinct(corpus.ham(), count - count // 2))}


def folder(path: Path) -> Mails:
    return {kind: [corpus.without_envelope(file.read_bytes())
                   for file in sorted((path / kind).iterdir())] for kind in ACCOUNTS}


class Contest:
    """The same mail for both, rspamd's memory flushed before each."""

    program: Program

    def __init__(self, rspamd: Rspamd, place: Path, mails: Mails) -> None:
        """Also puts the mail into files, for rspamc."""
        self.rspamd = rspamd
        self.count = sum(map(len, mails.values()))
        self.files: dict[str, list[str]] = {}
        for kind, raws in mails.items():
            (place / kind).mkdir()
            self.files[kind] = []
            for number, raw in enumerate(raws):
                path = place / kind / f"{number:06}.eml"
                path.write_bytes(raw)
                self.files[kind].append(str(path))

    def forget_marks(self) -> None:
        """As if nothing had ever been learned, where the mail is."""

    def theirs(self) -> tuple[Cost, tuple[int, int]]:
        self.rspamd.forget()
        costs = [run(["rspamc", "-n", str(REQUESTS), "-h", f"{HOST}:{self.rspamd.port}",
                      "-P", self.rspamd.password, f"learn_{kind}", *files])
                 for kind, files in self.files.items()]
        return costs[0] + costs[1], self.rspamd.learns()

    def ours(self) -> tuple[Cost, tuple[int, int]]:
        self.rspamd.forget()
        shutil.rmtree(self.program.ledger)
        self.program.ledger.mkdir()
        self.forget_marks()
        cost = run(self.program.command("learn", "--json"))
        return cost, self.rspamd.learns()

    def row(self, name: str, rounds: int) -> list[str]:
        theirs, ours = [], []
        for _ in range(rounds):
            cost, they_learned = self.theirs()
            theirs.append(cost)
            cost, we_learned = self.ours()
            ours.append(cost)
            if cost.rc:
                say(f"learnspool ended with {cost.rc}: {cost.out[-500:]}")
            say(f"    rspamc {theirs[-1].wall:.2f} s, learned {they_learned}; "
                f"learnspool {cost.wall:.2f} s, learned {we_learned}")
        a, b = median(theirs, lambda c: c.wall), median(ours, lambda c: c.wall)
        cpu = median(ours, lambda c: c.cpu) / self.count * 1000
        return [name, f"{self.count}", f"{a:.2f} s", f"{b:.2f} s", f"{a / b:.2f}",
                f"{cpu:.2f} ms", f"{max(c.peak for c in ours):.1f} MiB",
                f"{we_learned[0]} + {we_learned[1]}, rspamc {they_learned[0]} + "
                f"{they_learned[1]}"]


class Bench(Contest):
    """In a mailbox of each account."""

    def __init__(self, stack: Stack, place: Path, mails: Mails) -> None:
        super().__init__(stack.rspamd, place, mails)
        self.stack = stack
        self.program = Program(place)
        self.program.configure(stack, rspamd=f"connections = {REQUESTS}")
        stack.dovecot.clear()
        for kind, raws in mails.items():
            stack.dovecot.append_many(ACCOUNTS[kind], "INBOX", map(crlf, raws))

    def forget_marks(self) -> None:
        for user in ACCOUNTS.values():
            with self.stack.dovecot.session(user, "INBOX") as link:
                self.stack.dovecot.check(link.uid("STORE", "1:*", "-FLAGS.SILENT", MARKS))

    def idle(self) -> list[str]:
        """A run that finds nothing new, and what it says to the server."""
        cost = run(self.program.command("learn"))
        talk = run(self.program.command("learn", "-v", "-v")).out
        commands = re.findall(r"imap account=(\S+) command=L\d+ (.*)", talk)
        kinds = " ".join(text.split()[0] for user, text in commands
                         if user == ACCOUNTS["spam"])
        return [f"{self.count}", f"{cost.wall:.3f} s", f"{cost.cpu * 1000:.0f} ms",
                f"{cost.peak:.1f} MiB", f"{len(commands) / 2:.0f}: {kinds}"]


def large(encoded: bool) -> bytes:
    """A message of just max-size."""
    head = b"From: a@example.org\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
    head += (b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
             if encoded else b"Content-Type: text/plain\r\n\r\n")
    line = (b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5enow"
            if encoded else b"Words of a text that is as long as a text may be, and no longer.")
    return head + (line + b"\r\n") * ((MAX_SIZE - len(head)) // (len(line) + 2))


def large_row(stack: Stack, name: str, raw: bytes) -> list[str]:
    with tempfile.TemporaryDirectory() as place:
        stack.clean()
        stack.dovecot.append(ACCOUNTS["spam"], "INBOX", raw)
        program = Program(Path(place))
        program.configure(stack)
        cost = run(program.command("learn"))
        found = re.search(r"INBOX: (.*)", cost.out)
        return [name, f"{len(raw) / (1 << 20):.2f} MiB", f"{cost.wall:.2f} s",
                f"{cost.cpu:.2f} s", f"{cost.peak:.1f} MiB",
                found[1] if found else cost.out.strip()]


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--mail", type=Path, help="a folder with spam/ and ham/, a file a message")
    options.add_argument("--messages", type=int, nargs="+", default=[1000, 10000],
                         help="without --mail: how many, half of them spam, from the sample")
    options.add_argument("--rounds", type=int, default=3)
    args = options.parse_args()

    with Stack() as stack:
        rows, idle = [], []
        for count in [0] if args.mail else args.messages:
            mails = folder(args.mail) if args.mail else sample(count)
            name = "these" if args.mail else "sample"
            with tempfile.TemporaryDirectory() as place:
                bench = Bench(stack, Path(place), mails)
                say(f"{bench.count} messages, {args.rounds} rounds")
                rows.append(bench.row(name, args.rounds))
                idle.append(bench.idle())
        big = [large_row(stack, "text", large(False)), large_row(stack, "base64", large(True))]

    say("\nlearning, medians (rate: learnspool's by rspamc's)")
    table(HEAD, rows)
    say("nothing new, two accounts with a mailbox each")
    table(("processed messages", "wall", "CPU", "peak", "commands an account"), idle)
    say("one message of max-size")
    table(("kind", "size", "wall", "CPU", "peak", "what became of it"), big)


if __name__ == "__main__":
    main()
