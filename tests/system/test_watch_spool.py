"""watch and the spool: what is put into a folder is learned at once, whatever becomes of the
folder, of inotify's queue, of rspamd."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from fakes import LEARNED, FakeController, Reply, Request, http
from program import Program
from servers import Stack, wait_until
from test_spool import Spool
from watching import PATIENCE, Watch, watching


def mail(n: int | str) -> bytes:
    words = " ".join(f"word{n}and{i}" for i in range(40))
    return f"From: a@b.example\nSubject: number {n}\n\n{words}\n".encode()


@pytest.fixture
def spool(program: Program, folder: Path, rspamd: FakeController) -> Spool:
    spool = Spool(program, folder)
    spool.configure(rspamd)
    return spool


def bodies(rspamd: FakeController) -> set[bytes]:
    return {request.body for request in rspamd.learns}


def wait_for(rspamd: FakeController, watch: Watch, *wanted: bytes) -> None:
    wait_until(lambda: set(wanted) <= bodies(rspamd), PATIENCE,
               f"{len(rspamd.learns)} learned: {watch.status!r} {watch.out} {watch.err}")


def test_a_submission_is_learned_at_once(stack: Stack, spool: Spool) -> None:
    """By rspamd's own count; one by one."""
    spool.configure(stack.rspamd)
    latencies = []
    with watching(spool.program, accounts=1) as watch:
        for n in range(20):
            begun = time.monotonic()
            assert spool.submit(mail(n), ("spam", "ham")[n % 2]).rc == 0
            wait_until(lambda: sum(stack.rspamd.learns()) == n + 1, PATIENCE, watch.err)
            latencies.append(time.monotonic() - begun)
        assert watch.err == ""
    print("seconds from submit to rspamd's count:", *(f"{s:.3f}" for s in latencies))
    assert stack.rspamd.learns() == (10, 10) and len(spool.files("done")) == 20


def test_each_way_in(spool: Spool, rspamd: FakeController) -> None:
    """A Maildir that appears later, and a file that is written slowly: only as a whole."""
    with watching(spool.program, accounts=1) as watch:
        spam = spool.path / "spam"
        for name in ("tmp", "new", "cur"):
            (spam / name).mkdir()
        (spam / "tmp" / "1").write_bytes(mail("maildir"))
        (spam / "tmp" / "1").rename(spam / "new" / "1")
        wait_for(rspamd, watch, mail("maildir"))
        with (spool.path / "ham" / "slow.eml").open("wb", buffering=0) as file:
            for at in range(0, len(mail("slow")), 100):
                file.write(mail("slow")[at:at + 100])
                time.sleep(0.3)
        wait_for(rspamd, watch, mail("slow"))
        assert bodies(rspamd) == {mail("maildir"), mail("slow")}


def test_the_queue_overflows(spool: Spool, rspamd: FakeController) -> None:
    """More events than the kernel keeps: it is looked for what came."""
    count = 300
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with watching(spool.program, accounts=1) as watch:
        watch.send(signal.SIGSTOP)
        touched = spool.path / "spam" / "x"
        for _ in range(limit // 2 + 100):  # each is at least two events
            touched.touch()
            touched.unlink()
        for n in range(count):
            spool.put(f"{n}.report", mail(n))
        watch.send(signal.SIGCONT)
        wait_for(rspamd, watch, *(mail(n) for n in range(count)))
        spool.put("after.report", mail("after"))  # and it listens as before
        wait_for(rspamd, watch, mail("after"))
        assert len(rspamd.learns) == count + 1


def test_the_folder_is_replaced(spool: Spool, rspamd: FakeController) -> None:
    """By another one of its name, and removed; the next run makes it, as the first one did."""
    with watching(spool.program, accounts=1) as watch:
        (spool.path / "spam").rename(spool.path.parent / "away")
        (spool.path / "spam").mkdir()
        spool.put("one.report", mail("one"))
        wait_for(rspamd, watch, mail("one"))
        (spool.path / "spam").rmdir()
        watch.send(signal.SIGUSR1)
        wait_until((spool.path / "spam").exists, PATIENCE, watch.err)
        assert spool.submit(mail("two")).rc == 0
        wait_for(rspamd, watch, mail("two"))


def test_the_spool_is_away_for_a_while(spool: Spool, rspamd: FakeController) -> None:
    """One line when it begins and one when it is over."""
    with watching(spool.program, accounts=1) as watch:
        spool.path.rename(spool.path.parent / "away")
        watch.send(signal.SIGUSR1)
        watch.wait_err("does not exist")
        (spool.path.parent / "away").rename(spool.path)
        assert spool.submit(mail("one")).rc == 0
        wait_for(rspamd, watch, mail("one"))
        wait_until(lambda: watch.err.count("\n") == 2, PATIENCE, watch.err)


def test_rspamd_is_away_for_a_while(spool: Spool, rspamd: FakeController) -> None:
    """Reports wait in the spool, and are learned when it is back, each once."""
    away = True

    def answer(request: Request) -> Reply:
        return http(503, b'{"error":"later"}') if away else LEARNED

    rspamd.answer = answer
    with watching(spool.program) as watch:
        for n in range(5):
            assert spool.submit(mail(n)).rc == 0
        wait_until(lambda: len(rspamd.learns) > 5, PATIENCE, watch.err)
        away = False
        before = len(rspamd.learns)
        wait_until(lambda: len(spool.files("done")) == 5, PATIENCE, f"{watch.out} {watch.err}")
        after = [request.body for request in rspamd.learns[before:]]
        assert len(after) <= 6 and bodies(rspamd) == {mail(n) for n in range(5)}
        assert spool.files("failed") == []


def test_watch_is_killed_while_files_come(spool: Spool, rspamd: FakeController) -> None:
    """Again and again: everything is learned, and nothing is left over."""
    count = 60
    for n in range(0, count, 10):
        watch = Watch(spool.program)
        wait_until(lambda: "READY=1" in watch.states(), PATIENCE, watch.err)
        if n == 0:
            wait_until((spool.path / "spam").exists, PATIENCE, watch.err)
        for i in range(n, n + 10):
            assert spool.submit(mail(i)).rc == 0
        watch.kill()
    with watching(spool.program) as watch:
        wait_for(rspamd, watch, *(mail(n) for n in range(count)))
        wait_until(lambda: len(spool.files("done")) == count, PATIENCE, watch.err)
    assert spool.files("spam") == [] and os.listdir(spool.path / "taken" / "spam") == []
