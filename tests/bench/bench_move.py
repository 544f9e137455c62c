#!/usr/bin/python3
"""From the end of a user's MOVE into Junk to rspamd's own count: Dovecot runs the shipped scripts,
which put the message into a spool (vnd.dovecot.pipe), and watch has it learned. Prints a table and
judges nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

from measure import say, table  # noqa: E402

from program import Program, secret_file  # noqa: E402
from servers import crlf  # noqa: E402
from test_sieve import USER, Site, ok  # noqa: E402
from watching import Watch  # noqa: E402

GIVE_UP = 60  # seconds for one move


def mail(n: int) -> bytes:
    words = " ".join(f"word{n}and{i}" for i in range(40))
    return crlf(f"From: a@b.example\nSubject: number {n}\n\n{words}\n".encode())


def move_all(site: Site, count: int) -> list[tuple[float, float]]:
    """Of each: how long the MOVE took, and the time from its end on."""
    seconds = []
    link = site.user()
    for n in range(count):
        site.dovecot.lmtp(USER, mail(n))
    ok(link.select("INBOX"))
    uids = ok(link.uid("SEARCH", "ALL"))[0].split()
    for n, uid in enumerate(uids):
        begun = time.monotonic()
        ok(link.uid("MOVE", uid.decode(), "Junk"))
        moved = time.monotonic()
        while sum(site.rspamd.learns()) == n:
            if time.monotonic() - moved > GIVE_UP:
                sys.exit(f"move {n} was not learned in {GIVE_UP} s")
            time.sleep(0.002)
        seconds.append((moved - begun, time.monotonic() - moved))
        time.sleep(0.05)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, Site(spool=True) as site:
        site.spool.mkdir(mode=0o755)
        program = Program(Path(place))
        password = secret_file(Path(place) / "rspamd.password", site.rspamd.password + "\n")
        secret_file(program.config,
                    f'rspamd {{ url = "{site.rspamd.url}"  password-file = "{password}" }}\n'
                    f'ledger = "{program.ledger}"\nspool "{site.spool}" {{ trust = "nobody" }}\n')
        watch = Watch(program)
        watch.wait_ready(1)
        seconds = move_all(site, options.moves)
        watch.stop()
        say(watch.err)
    say(f"\n{len(seconds)} single moves:")
    rows = []
    for name, times in (("the MOVE itself", sorted(took for took, _ in seconds)),
                        ("from its end to rspamd's count", sorted(rest for _, rest in seconds))):
        rows.append((name, *(f"{times[min(int(len(times) * part), len(times) - 1)]:.3f} s"
                             for part in (0.5, 0.9, 0.99, 1))))
    table(("", "median", "p90", "p99", "longest"), rows)


if __name__ == "__main__":
    main()
