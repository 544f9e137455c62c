"""watch: what arrives is learned at once, and what fails meanwhile is made up for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import CAPABILITIES, LEARNED, FakeController, FakeImap, Reply, Request, configure_all
from fakes import then_silence
from program import Program, binary, secret_file
from servers import Dovecot, Server, Stack, crlf, quoted, wait_until
from test_crash import fault_binary  # noqa: F401
from test_full_disk import enospc  # noqa: F401
from watching import PATIENCE, Watch, watching

SPAM, HAM = "spam@example.org", "ham@example.org"
IDLE = CAPABILITIES + " IDLE"
BOX = 'mailbox "INBOX" { class = spam }'


def mail(n: int | str) -> bytes:
    """Each with words of its own."""
    words = " ".join(f"word{n}and{i}" for i in range(40))
    return crlf(f"From: a@b.example\nTo: u@example.org\nSubject: number {n}\n"
                f"Message-ID: <watch-{n}@b.example>\n\n{words}\n".encode())


def wait_learned(stack: Stack, watch: Watch, spam: int, ham: int) -> None:
    """By rspamd's own count."""
    wait_until(lambda: stack.rspamd.learns() == (spam, ham), PATIENCE,
               f"{(spam, ham)} learned: {watch.status!r} {watch.out} {watch.err}")


def subjects(rspamd: FakeController) -> list[str]:
    found = [re.search(rb"Subject: number (.*?)\r", request.body) for request in rspamd.learns]
    return [match[1].decode() for match in found if match]


def wait_subjects(rspamd: FakeController, watch: Watch, *wanted: str) -> None:
    wait_until(lambda: set(wanted) <= set(subjects(rspamd)), PATIENCE,
               f"{wanted} in {subjects(rspamd)}: {watch.status!r} {watch.err}")


# ---- what arrives ----

def test_what_arrives_is_learned_at_once(stack: Stack, learnspool: Program) -> None:
    """What was there before the start, and then single deliveries to either account."""
    stack.dovecot.append_many(SPAM, "INBOX", [mail(f"early {n}") for n in range(3)])
    latencies = []
    with watching(learnspool, accounts=2) as watch:
        wait_learned(stack, watch, 3, 0)
        for n in range(10):
            begun = time.monotonic()
            stack.dovecot.lmtp((SPAM, HAM)[n % 2], mail(n))
            wait_learned(stack, watch, 3 + n // 2 + 1, (n + 1) // 2)
            latencies.append(time.monotonic() - begun)
        wait_until(lambda: watch.out.count(f"{HAM} INBOX: 1 learned") == 5, PATIENCE, watch.out)
        assert watch.err == ""
    print("seconds from LMTP to rspamd's count:", *(f"{s:.3f}" for s in latencies))
    states = watch.states()
    assert states.count("READY=1") == 1 and states[-1] == "STOPPING=1"
    assert all("$LearnedSpam" in flags for flags in stack.dovecot.flags(SPAM).values())


def test_what_arrives_during_a_run(stack: Stack, learnspool: Program) -> None:
    """A burst, in pieces: nothing of it is missed, nothing is learned twice."""
    with watching(learnspool, accounts=2) as watch:
        for n in range(20):
            stack.dovecot.append_many(SPAM, "INBOX", [mail(f"{n} {i}") for i in range(20)])
        wait_learned(stack, watch, 400, 0)
    assert watch.err == ""


@pytest.mark.parametrize("names", [["INBOX", "Old spam", "third"],
                                   ["INBOX", "Viagra &c", "Geschäft", "four", "five"]])
def test_several_mailboxes(stack: Stack, program: Program, names: list[str]) -> None:
    """In each of them mail is noticed: by NOTIFY, and where Dovecot says yes to that and does not
    do it, by IDLE over several connections, and polling of what is too many."""
    boxes = "  ".join(f'mailbox "{name}" {{ class = spam }}' for name in names)
    for name in names[1:]:
        with stack.dovecot.session(SPAM) as link:
            Dovecot.check(link.create(quoted(name)))
    program.configure(stack, {SPAM: boxes}, top="watch { poll = 1s }\n")
    with watching(program, accounts=1) as watch:
        for n, name in enumerate(names * 2, 1):
            stack.dovecot.append(SPAM, name, mail(n))
            wait_learned(stack, watch, n, 0)
        assert len(watch.idlers()) == 1
    assert watch.err == ""


def test_what_is_read(stack: Stack, program: Program) -> None:
    """In a mailbox that is seen-only reading is the news; our own marks are none."""
    program.configure(stack, {HAM: 'mailbox "INBOX" { class = ham  seen-only = true }'})
    with watching(program, accounts=1) as watch:
        stack.dovecot.lmtp(HAM, mail(1))
        stack.dovecot.lmtp(HAM, mail(2))
        time.sleep(2)
        assert stack.rspamd.learns() == (0, 0)
        with stack.dovecot.session(HAM, "INBOX") as link:
            Dovecot.check(link.uid("STORE", "2", "+FLAGS", "(\\Seen)"))
        wait_learned(stack, watch, 0, 1)
        assert "$LearnedHam" in stack.dovecot.flags(HAM)[2]


@pytest.mark.parametrize("how", ["IDLE", "NOTIFY", "lines", "polling", "refused", "short"])
def test_ways_to_listen(program: Program, how: str) -> None:
    """Whatever the server offers, what is added later is learned; by the commands that it got,
    it was listened to in that way."""
    answers = {"refused": "@ NO not here\r\n", "short": "+ idling\r\n@ OK enough\r\n"}
    more = {"polling": "", "NOTIFY": " IDLE NOTIFY"}.get(how, " IDLE")
    boxes = BOX + (' mailbox "Archive" { class = spam }' if how in ("NOTIFY", "lines") else "")
    with FakeController() as rspamd, FakeImap(
            [mail("first")], capabilities=CAPABILITIES + more) as imap:
        imap.no_idle = answers.get(how, "")
        configure_all(program, {SPAM: (imap, boxes)}, rspamd, top="watch { poll = 1s }\n")
        with watching(program, accounts=1) as watch:
            wait_subjects(rspamd, watch, "first")
            for n in range(3):
                imap.add(mail(n))
                imap.modseq += 1
                wait_subjects(rspamd, watch, str(n))
        assert sorted(subjects(rspamd)) == ["0", "1", "2", "first"]
        assert watch.err == ""
        counts = {verb: imap.count(verb) for verb in ("IDLE", "NOTIFY SET", "STATUS")}
        if how == "NOTIFY":
            assert counts == {"IDLE": 0, "NOTIFY SET": 1, "STATUS": 0}
        elif how == "lines":
            assert counts == {"IDLE": 2, "NOTIFY SET": 0, "STATUS": 0}
        elif how == "IDLE":
            assert counts == {"IDLE": 1, "NOTIFY SET": 0, "STATUS": 0}
        else:
            assert counts["STATUS"] > 1 and counts["IDLE"] <= 1


# ---- accounts that do not work ----

def test_bad_accounts_delay_no_other(program: Program) -> None:
    """One refuses the log-in, one is silent after the connection, one is cut in the middle of
    IDLE each time, one sends garbage: each has one line, the good one goes on."""
    cut = {"EXAMINE": lambda honest: honest + b"* BYE no\r\n"}
    refused = {"AUTHENTICATE": lambda honest: b"A2 NO [AUTHENTICATIONFAILED] no\r\n"}
    with FakeController() as rspamd, FakeImap([], capabilities=IDLE) as good, \
            FakeImap([], refused, capabilities=IDLE) as refusing, \
            FakeImap([], {"GREETING": then_silence}, capabilities=IDLE) as silent, \
            FakeImap([], cut, capabilities=IDLE) as cutting, \
            FakeImap([], {"IDLE": lambda _: b"((((\r\n"}, capabilities=IDLE) as raving:
        bad = {"refusing": refusing, "silent": silent, "cutting": cutting, "raving": raving}
        configure_all(program, {name: (server, BOX) for name, server in
                                {**bad, SPAM: good}.items()}, rspamd)
        with watching(program) as watch:
            for name in bad:
                watch.wait_err(f"account {name}:")
            latencies = []
            for n in range(10):
                begun = time.monotonic()
                good.add(mail(n))
                good.modseq += 1
                wait_subjects(rspamd, watch, str(n))
                latencies.append(time.monotonic() - begun)
            assert all(watch.err.count(f"account {name}:") == 1 for name in bad), watch.err
            assert watch.err.count("\n") == len(bad), watch.err
        print("seconds beside bad accounts:", *(f"{s:.3f}" for s in latencies))


def test_a_run_that_hangs_makes_room(program: Program) -> None:
    """The log-in works and IDLE too, and then SELECT gets no answer: the run of that account ends
    when others wait, and theirs is done."""
    with FakeController() as rspamd, FakeImap([], capabilities=IDLE) as good, \
            FakeImap([mail("x")], {"SELECT": then_silence}, capabilities=IDLE) as hanging:
        configure_all(program, {"hanging": (hanging, BOX + " "), SPAM: (good, BOX)}, rspamd)
        text = program.config.read_text().replace("timeout = 2s", "timeout = 10m")
        secret_file(program.config, text)
        with watching(program) as watch:
            wait_until(lambda: "busy with hanging" in watch.status, PATIENCE, watch.status)
            good.add(mail("good"))
            wait_subjects(rspamd, watch, "good")
            watch.wait_err("account hanging: its run did not get on")
        assert subjects(rspamd) == ["good"]


def test_a_flood_of_news(program: Program) -> None:
    """A server that tells of new mail all the time, and there is none: the others are served, and
    looking for it gets slower."""
    def flood(_: bytes) -> Reply:
        yield b"+ idling\r\n"
        for n in range(1, 1 << 30):
            yield f"* {n} EXISTS\r\n".encode()
            time.sleep(0.001)

    with FakeController() as rspamd, FakeImap([], capabilities=IDLE) as good, \
            FakeImap([], {"IDLE": flood}, capabilities=IDLE) as flooding:
        configure_all(program, {"flooding": (flooding, BOX), SPAM: (good, BOX)}, rspamd)
        with watching(program) as watch:
            wait_until(lambda: flooding.count("SELECT") > 3, PATIENCE, watch.status)
            for n in range(5):
                good.add(mail(n))
                good.modseq += 1
                wait_subjects(rspamd, watch, str(n))
            before = flooding.count("SELECT")
            time.sleep(3)
            assert flooding.count("SELECT") - before < 6


@pytest.mark.parametrize("limit", ["-Sn 48", "-n 110"])
def test_many_accounts(program: Program, tmp_path: Path, limit: str) -> None:
    """More than there are descriptors, which the program may raise, or not: then as many as there
    are, and runs still work. They do not come to the server all at once."""
    greeted = []

    def greet(honest: bytes) -> bytes:
        greeted.append(time.monotonic())
        return honest

    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit {limit}\nexec {binary()} "$@"\n')
    limited.chmod(0o755)
    with FakeController() as rspamd, FakeImap([], {"GREETING": greet}, capabilities=IDLE) as imap:
        configure_all(program, {f"user{n}": (imap, BOX) for n in range(60)}, rspamd)
        watch = Watch(program, program_file=limited)
        if limit == "-Sn 48":
            watch.wait_ready(60)
            assert watch.err == "" and greeted[-1] - greeted[0] > 0.4
        else:
            wait_until(lambda: imap.count("IDLE") > 30, PATIENCE, watch.err)
            watch.wait_err("account user59: no process can be started")
        imap.add(mail(1))
        imap.modseq += 1
        wait_subjects(rspamd, watch, "1")
        assert watch.stop() == 0 and "ledger" not in watch.err


# ---- servers that come and go ----

def test_dovecot_is_restarted(stack: Stack, learnspool: Program) -> None:
    """Twice: it is listened to again, and what came in between is learned."""
    with watching(learnspool, accounts=2) as watch:
        for n in range(2):
            with away(stack.dovecot):
                pass
            stack.dovecot.lmtp(SPAM, mail(n))
            wait_learned(stack, watch, n + 1, 0)
            watch.wait_ready(2)
        stack.dovecot.lmtp(HAM, mail("ham"))
        wait_learned(stack, watch, 2, 1)


def test_an_idler_is_killed(stack: Stack, learnspool: Program) -> None:
    with watching(learnspool, accounts=2) as watch:
        for n, pid in enumerate(watch.idlers()):
            os.kill(pid, signal.SIGKILL)
            stack.dovecot.lmtp(SPAM, mail(n))
            wait_learned(stack, watch, n + 1, 0)
        watch.wait_ready(2)
        assert len(watch.idlers()) == 2


@contextlib.contextmanager
def away(server: Server) -> Iterator[None]:
    """It is there again in the end, whatever happens."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@pytest.mark.parametrize("which", ["rspamd", "redis"])
def test_rspamd_is_away(stack: Stack, learnspool: Program, which: str) -> None:
    """One line when it begins and one when it is over; nothing is lost or learned twice."""
    with watching(learnspool, accounts=2) as watch:
        stack.dovecot.lmtp(SPAM, mail("before"))
        wait_learned(stack, watch, 1, 0)
        watch.wait_ready(2)
        with away(getattr(stack, which)):
            for n in range(6):
                stack.dovecot.lmtp((SPAM, HAM)[n % 2], mail(n))
                time.sleep(0.3)
            watch.wait_err("watch goes on trying")
            wait_until(lambda: watch.status.startswith("Waiting: "), PATIENCE, watch.err)
        watch.wait_err("learning: works again")
        before = 0 if which == "redis" else 1  # Redis forgets what it is not told to keep
        wait_learned(stack, watch, 3 + before, 3)
        watch.wait_ready(2)
        assert watch.err.count("watch goes on trying") == 1, watch.err
        assert watch.err.count("works again") == 1, watch.err
    flags = [*stack.dovecot.flags(SPAM).values(), *stack.dovecot.flags(HAM).values()]
    assert len(flags) == 7
    assert all(any(f.startswith("$Learned") for f in names) for names in flags)


def test_the_disk_is_full(stack: Stack, learnspool: Program, enospc: Path) -> None:  # noqa: F811
    """For a while: it waits, with one line each way, and then everything is learned once."""
    full = learnspool.folder / "full"
    env = {"LD_PRELOAD": str(enospc), "ENOSPC_FOLDER": str(learnspool.ledger), "ENOSPC_BYTES": "0",
           "ENOSPC_WHILE": str(full),
           "ASAN_OPTIONS": "verify_asan_link_order=0:abort_on_error=0:exitcode=99:detect_leaks=0"}
    with watching(learnspool, accounts=2, env=env) as watch:
        full.touch()
        for n in range(30):
            stack.dovecot.lmtp((SPAM, HAM)[n % 2], mail(n))
        watch.wait_err("the disk is full")
        time.sleep(2)
        full.unlink()
        watch.wait_err("learning: works again")
        wait_until(lambda: all(any(flag.startswith("$Learned") for flag in flags)
                               for user in (SPAM, HAM)
                               for flags in stack.dovecot.flags(user).values()),
                   PATIENCE, watch.err)
        assert watch.err.count("\n") == 2, watch.err
    assert stack.rspamd.learns() == (15, 15)
    assert learnspool("ledger", "verify").rc == 0


def test_beside_another_run(program: Program) -> None:
    """Whoever has the lock works, the other one says so in one line and comes back."""
    release = []

    def slowly(_: Request) -> Reply:
        wait_until(lambda: bool(release), PATIENCE)
        return LEARNED

    with FakeController(slowly) as rspamd, FakeImap([], capabilities=IDLE) as imap:
        configure_all(program, {SPAM: (imap, BOX)}, rspamd)
        with watching(program, accounts=1) as watch:
            with (program.ledger / "run.lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                imap.add(mail("during"))
                watch.wait_err("in use by")
                time.sleep(2)
                assert rspamd.learns == [] and watch.err.count("\n") == 1, watch.err
            wait_subjects(rspamd, watch, "during")
            done = program("run")  # the watch is busy with it
            assert done.rc == 75 and "(learnspool watch)" in done.err, done
            release.append(True)
            watch.wait_err("works again")
            watch.wait_ready(1)
            assert program("run").rc == 0
        assert subjects(rspamd) == ["during"]


# ---- signals ----

def test_reload(stack: Stack, program: Program) -> None:
    """A good configuration is taken; a bad one is refused with one line, and the old one stays."""
    program.configure(stack, {SPAM: BOX})
    with watching(program, accounts=1) as watch:
        good = program.config.read_text()
        signalled = time.monotonic() * 1e6
        secret_file(program.config, good.replace("class = spam", "class = spamm"))
        watch.send(signal.SIGHUP)
        watch.wait_err("not reloaded")
        assert watch.err.count("\n") == 1 and "not a class" in watch.err
        stack.dovecot.lmtp(SPAM, mail(1))
        wait_learned(stack, watch, 1, 0)
        program.configure(stack)
        watch.send(signal.SIGHUP)
        watch.wait_ready(2)
        stack.dovecot.lmtp(HAM, mail(2))
        wait_learned(stack, watch, 1, 1)
        states = [s for s in watch.states() if s in ("READY=1", "RELOADING=1")]
        assert states == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1"]
        # systemd compares them with the microsecond of its signal
        times = [int(s[15:]) for s in watch.states() if s.startswith("MONOTONIC_USEC=")]
        assert len(times) == 2 and all(signalled < at for at in times)
        assert any(at % 1000 for at in times)
        assert watch.err.count("\n") == 1


def test_now(program: Program) -> None:
    """SIGUSR1 looks at once where nobody tells of news."""
    with FakeController() as rspamd, FakeImap([]) as imap:
        configure_all(program, {SPAM: (imap, BOX)}, rspamd, top="watch { poll = 1d }\n")
        with watching(program, accounts=1) as watch:
            imap.add(mail(1))
            time.sleep(2)
            assert rspamd.learns == []
            watch.send(signal.SIGUSR1)
            wait_subjects(rspamd, watch, "1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_during_a_run(program: Program, number: int) -> None:
    """What is settled is recorded, what is not is left to the next."""
    with FakeController(lambda _: (time.sleep(0.2), LEARNED)[1]) as rspamd, FakeImap(
            [mail(n) for n in range(30)], capabilities=IDLE) as imap:
        configure_all(program, {SPAM: (imap, BOX)}, rspamd, rspamd_lines="connections = 2")
        watch = Watch(program)
        wait_until(lambda: len(rspamd.learns) > 5, PATIENCE, watch.err)
        assert watch.stop(number) == 0
        assert len(rspamd.learns) < 30 and watch.err == ""
        assert program("run").rc == 0
        assert len(subjects(rspamd)) == len(set(subjects(rspamd))) == 30


def test_killed(stack: Stack, learnspool: Program) -> None:
    """kill -9 leaves nobody behind, and the next one takes up everything."""
    watch = Watch(learnspool)
    watch.wait_ready(2)
    assert len(watch.idlers()) == 2
    watch.kill()
    stack.dovecot.lmtp(SPAM, mail(1))
    with watching(learnspool, accounts=2) as watch:
        wait_learned(stack, watch, 1, 0)


def test_watchdog(program: Program) -> None:
    with FakeController() as rspamd, FakeImap([], capabilities=IDLE) as imap:
        configure_all(program, {SPAM: (imap, BOX)}, rspamd)
        with watching(program, env={"WATCHDOG_USEC": "400000"}) as watch:
            wait_until(lambda: watch.states().count("WATCHDOG=1") > 10, PATIENCE)
        assert "WATCHDOG=1" not in _states_without_watchdog(program)


def _states_without_watchdog(program: Program) -> list[str]:
    with watching(program) as watch:
        wait_until(lambda: "READY=1" in watch.states(), PATIENCE)
    return watch.states()


def test_bad_start(program: Program) -> None:
    """A configuration that is none ends it before anything begins."""
    secret_file(program.config, "nonsense = 1\n")
    done = program("watch")
    assert done.rc == 78 and done.err.count("\n") == 1 and done.out == ""
    assert program("watch", "--max", "3").rc == 64


# ---- expire ----

def test_expire_once_a_day(program: Program) -> None:
    """It was done last long ago: at the start, once; and not again when it is started again."""
    with FakeController() as rspamd, FakeImap([mail(1), mail(2)], capabilities=IDLE) as imap:
        configure_all(program, {SPAM: (imap, BOX)}, rspamd,
                      top="retention { learned = 0s }\nwatch { expire-at = \"00:00\" }\n")
        with watching(program, accounts=1) as watch:
            wait_subjects(rspamd, watch, "1", "2")
            watch.wait_ready(1)
            assert len(imap.messages) == 2  # who is new waits for the next time
        stamp = program.ledger / "expired-at"
        assert abs(int(stamp.read_text()) - time.time()) < 600
        stamp.write_text("1700000000\n")
        with watching(program, accounts=1) as watch:
            wait_until(lambda: not imap.messages, PATIENCE, watch.err)
            watch.wait_ready(1)
        assert abs(int(stamp.read_text()) - time.time()) < 600
        imap.add(mail(3))
        with watching(program, accounts=1) as watch:
            wait_subjects(rspamd, watch, "3")
            watch.wait_ready(1)
            assert len(imap.messages) == 1


def test_expiry_holds_up_nobody(program: Program) -> None:
    """Where it is due and an account has much that is new, the others' turns come as always."""
    (program.ledger / "expired-at").write_text("1700000000\n")
    with FakeController() as rspamd, FakeImap([], capabilities=IDLE) as good, FakeImap(
            [mail(n) for n in range(2500)], capabilities=IDLE) as much:
        configure_all(program, {"much": (much, BOX), SPAM: (good, BOX)}, rspamd,
                      top="retention { learned = 0s }\n")
        with watching(program) as watch:
            wait_until(lambda: len(rspamd.learns) > 10, PATIENCE, watch.err)
            good.add(mail("good"))
            good.modseq += 1
            wait_subjects(rspamd, watch, "good")
            assert len(rspamd.learns) < 2000


# ---- killed in its work ----

def test_kill_at_every_step(program: Program, fault_binary: Path) -> None:  # noqa: F811
    """The run of a watch is killed at each of its steps in turn, and the watch with it; the next
    one ends as if nothing had happened: each message is learned, marked and expired, and at most
    those in flight were sent twice."""
    wanted = {str(n) for n in range(4)}
    for step in range(1, 200):
        for old in program.ledger.iterdir():
            old.unlink()
        (program.ledger / "expired-at").write_text("1700000000\n")
        with FakeController() as rspamd, FakeImap([mail(n) for n in range(4)],
                                                  capabilities=IDLE) as imap:
            configure_all(program, {SPAM: (imap, BOX)}, rspamd, rspamd_lines="connections = 2",
                          top="retention { learned = 0s }\n")
            watch = Watch(program, env={"LEARNSPOOL_FAULT_STEP": str(step)},
                          program_file=fault_binary)
            wait_until(lambda: "signal 9" in watch.err or watch.process.poll() is not None
                       or not imap.messages, PATIENCE, watch.err)
            through = "signal 9" not in watch.err and watch.process.poll() is None
            watch.kill()
            with watching(program) as watch:
                wait_until(lambda: not imap.messages, PATIENCE, f"{step} {watch.status}{watch.err}")
                assert watch.err == "", step
            assert set(subjects(rspamd)) == wanted and len(subjects(rspamd)) <= 4 + 2, step
        if through:
            assert step > 20
            return
    raise AssertionError("it never ends")
