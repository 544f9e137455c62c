#!/usr/bin/python3
"""Training samples of many users of a Stalwart, against rspamc -n 16 on the same mail in files;
then a run that finds nothing new; then single decisions, from the moment that the sample is there
to rspamd's own count, with watch. Prints tables and judges nothing.

With STALWART=PROGRAM it is that server (0.16), else a scripted one, which takes time of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

sys.dont_write_bytecode = True

from bench_learn import HEAD, REQUESTS, Contest, Mails, sample  # noqa: E402
from measure import run, say, table  # noqa: E402

import stalwart_server  # noqa: E402
from program import Program, secret_file  # noqa: E402
from servers import Authority, Redis, Rspamd, crlf  # noqa: E402
from stalwart import KEY, FakeStalwart  # noqa: E402
from watching import Watch  # noqa: E402

GIVE_UP = 60  # seconds for one decision
NAME = "mail.example.org"


def users(count: int) -> list[str]:
    return [f"user{n}@example.org" for n in range(count)]


class Scripted:
    """A process of its own, so that it does not wait for us."""

    def __init__(self, accounts: int) -> None:
        context = get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=self._serve, args=(theirs, accounts), daemon=True)
        self._process.start()
        self.url = self._pipe.recv()
        self.key = KEY
        self._users = itertools.cycle(users(accounts))

    @staticmethod
    def _serve(pipe: Connection, accounts: int) -> None:
        names = {f"u{n}": user for n, user in enumerate(users(accounts))}
        with FakeStalwart(accounts=names) as server:
            pipe.send(server.url)
            while True:
                what = pipe.recv()
                if what is None:
                    pipe.send(len(server.requests))
                    server.requests.clear()
                else:
                    server.add(*what)
                    pipe.send(0)

    def decide(self, is_spam: bool, raw: bytes) -> None:
        self._pipe.send((next(self._users), is_spam, raw))
        self._pipe.recv()

    def asked(self) -> int:
        """Requests since the last question."""
        self._pipe.send(None)
        return int(self._pipe.recv())


class Real:
    def __init__(self, server: stalwart_server.Stalwart) -> None:
        self._server = server
        self._users = itertools.cycle(server.users)
        self.url, self.key = server.url, server.key()

    def decide(self, is_spam: bool, raw: bytes) -> None:
        """A user moves a message that nobody else has decided about."""
        user = next(self._users)
        source, target = ("INBOX", stalwart_server.JUNK)[::1 if is_spam else -1]
        self._server.append(user, source, raw)
        with self._server.imap(user, source) as link:
            stalwart_server.check(link.uid("MOVE", "*", f'"{target}"'))

    def asked(self) -> int:
        return 0


@contextlib.contextmanager
def server(place: Path, accounts: int) -> Iterator[Scripted | Real]:
    if not stalwart_server.program():
        yield Scripted(accounts)
        return
    with stalwart_server.Stalwart(place, Authority(place), users(accounts)) as real:
        yield Real(real)


class Bench(Contest):
    """In the samples of a Stalwart."""

    def __init__(self, rspamd: Rspamd, stalwart: Scripted | Real, place: Path,
                 mails: Mails) -> None:
        mails = {kind: list(map(crlf, raws)) for kind, raws in mails.items()}
        super().__init__(rspamd, place, mails)
        self.stalwart = stalwart
        self.program = Program(place)
        password = secret_file(place / "rspamd.password", rspamd.password + "\n")
        key = secret_file(place / "key", stalwart.key + "\n")
        secret_file(self.program.config,
                    f'rspamd {{ url = "{rspamd.url}"  password-file = "{password}"\n'
                    f'  connections = {REQUESTS} }}\nledger = "{self.program.ledger}"\n'
                    f'stalwart "{NAME}" {{ url = "{stalwart.url}"  key-file = "{key}" }}\n')
        for kind, raws in mails.items():
            for raw in raws:
                stalwart.decide(kind == "spam", raw)

    def idle(self) -> list[str]:
        self.stalwart.asked()
        cost = run(self.program.command("learn"))
        return [f"{cost.wall:.3f} s", f"{cost.cpu * 1000:.0f} ms", f"{cost.peak:.1f} MiB",
                f"{self.stalwart.asked() or '-'}"]

    def decide_one_by_one(self, count: int) -> list[float]:
        seconds = []
        watch = Watch(self.program)
        watch.wait_ready(1)
        before = sum(self.rspamd.learns())
        for n in range(count):
            words = " ".join(f"word{n}and{i}" for i in range(40))
            time.sleep(random.uniform(0, 3))
            raw = f"From: a@b.example\nSubject: {n}\n\n{words}\n"
            self.stalwart.decide(True, crlf(raw.encode()))
            begun = time.monotonic()
            while sum(self.rspamd.learns()) == before + n:
                if time.monotonic() - begun > GIVE_UP:
                    sys.exit(f"decision {n} was not learned in {GIVE_UP} s: {watch.err}")
                time.sleep(0.005)
            seconds.append(time.monotonic() - begun)
        watch.stop()
        return sorted(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--decisions", type=int, default=50)
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (place / "servers").mkdir()
        redis = stack.enter_context(Redis(place / "servers"))
        rspamd = stack.enter_context(Rspamd(place / "servers", redis))
        stalwart = stack.enter_context(server(place / "servers", args.accounts))
        bench = Bench(rspamd, stalwart, place, sample(args.samples))
        say(f"{bench.count} samples of {args.accounts} users, {args.rounds} rounds, "
            f"{'a real Stalwart' if stalwart_server.program() else 'a scripted server'}")
        row, idle = bench.row("samples", args.rounds), bench.idle()
        seconds = bench.decide_one_by_one(args.decisions)
    say("\nlearning, medians (rate: learnspool's by rspamc's)")
    table(HEAD, [row])
    say("nothing new")
    table(("wall", "CPU", "peak", "requests"), [idle])
    say(f"{len(seconds)} single decisions, poll = 10s: from the sample to rspamd's count")
    table(("median", "p90", "p99", "longest"),
          [[f"{seconds[min(int(len(seconds) * part), len(seconds) - 1)]:.2f} s"
            for part in (0.5, 0.9, 0.99, 1)]])


if __name__ == "__main__":
    main()
