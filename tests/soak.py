#!/usr/bin/python3
"""Some minutes of steady traffic at a watch, with everything failing in turn (make soak).

Mail is delivered to spam@ and ham@ and submitted to a spool all the time. Meanwhile rspamd, Redis
and Dovecot are stopped and started, watch and its idlers are killed, the spool's folder is replaced
and watch is told to reload. In the end everything has to be learned: each message once by the
ledger, and by rspamd's own count, which may be higher by what was in flight when something died.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "system"))

from program import Program  # noqa: E402
from servers import Stack, crlf, wait_until  # noqa: E402
from test_spool import Spool  # noqa: E402
from watching import Watch  # noqa: E402

SPAM, HAM = "spam@example.org", "ham@example.org"
CONNECTIONS = 4
PAUSE = 0.15  # seconds between two messages
FAULTS_EVERY = 6.0  # seconds


def mail(n: int) -> bytes:
    """Short, so that rspamd knows it again whenever it comes."""
    words = " ".join(f"word{n}and{i}" for i in range(40))
    return crlf(f"From: a@b.example\nSubject: number {n}\n\n{words}\n".encode())


class Soak:
    def __init__(self, stack: Stack, program: Program, spool: Spool, seed: int) -> None:
        self.stack, self.program, self.spool = stack, program, spool
        self.chance = random.Random(seed)
        self.watch = Watch(program)
        self.sent = 0
        self.late = 0
        self.kills = 0
        self.over = threading.Event()

    # ---- traffic ----

    def traffic(self) -> None:
        while not self.over.is_set():
            n = self.sent
            try:
                if n % 3 == 2:
                    assert self.spool.submit(mail(n), ("spam", "ham")[n % 2]).rc == 0
                else:
                    self.stack.dovecot.lmtp((SPAM, HAM)[n % 2], mail(n))
                self.sent += 1
            except (OSError, AssertionError):  # the server is down: once more, as a queue does
                self.late += 1
            except Exception as error:  # noqa: BLE001 - smtplib has many of its own
                if "SMTP" not in type(error).__name__ and "LMTP" not in type(error).__name__:
                    raise
                self.late += 1
            time.sleep(PAUSE)

    # ---- what goes wrong ----

    def rspamd_away(self) -> None:
        self.stack.rspamd.stop()
        time.sleep(self.chance.uniform(0.5, 4))
        self.stack.rspamd.start()

    def redis_away(self) -> None:
        """Without losing its memory: it is only stopped."""
        os.kill(self.stack.redis.pid, signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.5, 2))
        os.kill(self.stack.redis.pid, signal.SIGCONT)

    def dovecot_away(self) -> None:
        self.stack.dovecot.stop()
        time.sleep(self.chance.uniform(0, 2))
        self.stack.dovecot.start()

    def watch_killed(self) -> None:
        self.watch.kill()
        self.watch = Watch(self.program)

    def watch_stopped(self) -> None:
        assert self.watch.stop() == 0, self.watch.err
        self.watch = Watch(self.program)

    def child_killed(self) -> None:
        children = list(self.watch.children())
        if children:
            try:
                os.kill(self.chance.choice(children), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def reloaded(self) -> None:
        self.watch.send(self.chance.choice((signal.SIGHUP, signal.SIGUSR1)))

    def folder_replaced(self) -> None:
        """What is in it at that moment comes back as files of another folder."""
        path = self.spool.path / self.chance.choice(("spam", "ham"))
        away = self.spool.path.parent / "away"
        try:
            path.rename(away)
        except OSError:
            return
        path.mkdir(exist_ok=True)
        path.chmod(0o1733)
        for file in list(away.iterdir()):
            file.rename(path / file.name)
        away.rmdir()

    def faults(self, seconds: float) -> None:
        kinds = (self.rspamd_away, self.redis_away, self.dovecot_away, self.watch_killed,
                 self.watch_stopped, self.child_killed, self.reloaded, self.folder_replaced)
        begun = time.monotonic()
        order: list[int] = []
        while (passed := time.monotonic() - begun) < seconds:
            if not order:
                order = self.chance.sample(range(len(kinds)), len(kinds))
            fault = kinds[order.pop()]
            self.kills += fault in (self.watch_killed, self.watch_stopped, self.child_killed,
                                    self.rspamd_away, self.redis_away)
            print(f"{passed:5.0f} s  {self.sent} sent  {sum(self.stack.rspamd.learns())} learned  "
                  f"{fault.__name__}", flush=True)
            fault()
            time.sleep(self.chance.uniform(0, FAULTS_EVERY))

    # ---- the end ----

    def records(self) -> list[dict[str, object]]:
        done = self.program("--json", "ledger", "list")
        return [record for record in done.events if "digest" in record]

    def check(self) -> None:
        wait_until(lambda: len(self.records()) >= self.sent, 120,
                   f"{len(self.records())} of {self.sent} in the ledger: {self.watch.status} "
                   f"{self.watch.err[-2000:]}")
        wait_until(lambda: all(r["outcome"] in ("learned", "known") for r in self.records()), 60,
                   json.dumps([r for r in self.records()
                               if r["outcome"] not in ("learned", "known")])[:2000])
        assert self.watch.stop() == 0, self.watch.err
        records = self.records()
        learned = sum(self.stack.rspamd.learns())
        extra = CONNECTIONS * self.kills
        assert len(records) == self.sent, (len(records), self.sent)
        assert self.sent <= learned <= self.sent + extra, (self.sent, learned, extra)
        for kind in ("spam", "ham"):
            # A `submit` whose folder was replaced says 75, and is done once more.
            left = [path for folder in (".", "taken", "failed")
                    for path in (self.spool.path / folder / kind).iterdir()
                    if not path.name.startswith(".submit-")]
            assert left == []
        for user in (SPAM, HAM):
            flags = self.stack.dovecot.flags(user).values()
            assert all(any(name.startswith("$Learned") for name in names) for names in flags)
        print(f"\n{self.sent} messages, each in the ledger as learned; rspamd counts {learned}, "
              f"{learned - self.sent} of them twice, at {self.kills} faults that allow it; "
              f"{self.late} were delivered later, since a server was down")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, Stack() as stack:
        program = Program(Path(place))
        spool = Spool(program, Path(place))
        program.configure(stack, rspamd=f"connections = {CONNECTIONS}  timeout = 10s",
                          top=f'spool "{spool.path}" {{ }}\n')
        assert program("learn").rc == 0
        soak = Soak(stack, program, spool, options.seed)
        sender = threading.Thread(target=soak.traffic)
        sender.start()
        try:
            soak.faults(options.minutes * 60)
        finally:
            soak.over.set()
            sender.join()
        soak.check()


if __name__ == "__main__":
    main()
