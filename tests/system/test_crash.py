"""kill -9 at every step: the next run ends as if nothing had happened.

The program is built with counted steps (src/base/fault.h) around every write to the ledger, the
server and rspamd. Each scenario runs once undisturbed; then, from the same beginning, it is killed
at step 1, 2, 3 ... and run again each time. Server, ledger and rspamd's counters must end the same.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import corpus
import pytest
from fakes import FakeController
from program import Program, Rig, environment, fault_program
from servers import Stack, crlf
from test_forward import forward

CONNECTIONS = 2
SPAM, HAM = "spam@example.org", "ham@example.org"
MAX_SIZE = 200_000
NOW = 1_700_000_000


@pytest.fixture(scope="module")
def fault_binary() -> Path:
    return fault_program()


def again(raw: bytes) -> bytes:
    """The same content by another way."""
    return b"Received: from elsewhere by here; Thu, 1 Jan 2026 00:00:00 +0000\r\n" + raw


def deliver(stack: Stack) -> None:
    """Spam, ham, duplicates, changes of mind, short and oversized mail."""
    spam, ham = corpus.short(corpus.spam(), 9), corpus.short(corpus.ham(), 9)
    short = b"From: a@example.org\r\nSubject: short\r\n\r\nthree words only\r\n"
    large = b"From: a@example.org\r\nSubject: large\r\n\r\n" + b"many words " * 20_000
    flip_to_ham, flip_to_spam, overruled = spam[8], ham[8], spam[7]
    stack.dovecot.append_many(SPAM, "INBOX", [
        *((raw, (), NOW) for raw in spam[:7]), (again(spam[0]), (), NOW + 1), (short, (), NOW),
        (large, (), NOW), (flip_to_ham, (), NOW), (flip_to_spam, (), NOW + 9),
        (overruled, (), NOW + 9)])
    stack.dovecot.append_many(HAM, "INBOX", [
        *((raw, (), NOW) for raw in ham[:7]), (again(ham[1]), (), NOW + 1),
        (flip_to_ham, (), NOW + 9), (flip_to_spam, (), NOW), (overruled, (), NOW)])


@dataclass
class End:
    """What is left when a run is through."""

    counters: tuple[int, int]
    mail: dict[str, list[tuple[bytes, frozenset[str]]]]
    contents: list[tuple[object, ...]]
    messages: list[tuple[object, ...]]


@dataclass
class Trial:
    stack: Stack
    program: Program
    binary: Path
    words: tuple[str, ...]

    def begin(self) -> None:
        self.stack.clean()
        shutil.rmtree(self.program.ledger)
        self.program.ledger.mkdir()
        self.log.unlink(missing_ok=True)
        deliver(self.stack)

    @property
    def log(self) -> Path:
        return self.program.folder / "steps"

    def run(self, kill_at: int = 0) -> int:
        more = {"LEARNSPOOL_FAULT_LOG": str(self.log)}
        if kill_at:
            more["LEARNSPOOL_FAULT_STEP"] = str(kill_at)
        command = [str(self.binary), "--config", str(self.program.config), *self.words]
        done = subprocess.run(command, capture_output=True, env=environment(more), timeout=300)
        assert done.returncode in (0, -signal.SIGKILL), (done.stdout, done.stderr)
        return done.returncode

    def steps(self) -> list[str]:
        return [line.split()[1] for line in self.log.read_text().splitlines()]

    def ledger(self, what: str) -> list[dict[str, object]]:
        done = subprocess.run([str(self.binary), "--config", str(self.program.config), "--json",
                               "ledger", what], capture_output=True, check=True)
        start, *records = [json.loads(line) for line in done.stdout.splitlines()]
        assert start["event"] == "start"
        return records

    def end(self) -> End:
        mail = {}
        for user in (SPAM, HAM):
            flags, raw = self.stack.dovecot.flags(user), self.stack.dovecot.messages(user)
            mail[user] = sorted((raw[uid], frozenset(flags[uid] - {"\\Recent"})) for uid in flags)
        # A message that was learned by a killed run is known to the next: rspamd says 208.
        same = {"learned": "known"}
        return End(
            self.stack.rspamd.learns(), mail,
            sorted((d["digest"], d["class"], same.get(str(d["outcome"]), d["outcome"]),
                    d["copies"]) for d in self.ledger("list")),
            sorted((m["account"], m["uid"], m["class"], m["state"], m["digest"],
                    same.get(str(m["outcome"]), m["outcome"])) for m in self.ledger("messages")))


def trial_of(stack: Stack, program: Program, binary: Path, *words: str) -> Trial:
    program.configure(stack, rspamd=f"connections = {CONNECTIONS}",
                      top=f"max-size = {MAX_SIZE}\n"
                          "retention { learned = 0s  skipped = 0s }\n")
    return Trial(stack, program, binary, words)


def messages_in_flight(steps: list[str]) -> int:
    """How many were sent and not answered when the kill came. rspamd gives a learn up half-way when
    its client is gone, so it may count these again, a change of class in both counters; all
    others it must count as ever."""
    sent = steps.count("rspamd-submit") - steps.count("rspamd-answer")
    return sent - 1 if steps[-1] == "rspamd-submit" else sent


def difference(one: tuple[int, int], other: tuple[int, int]) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def check_kills(trial: Trial, resume: Callable[[Trial], None]) -> int:
    """Kill at each step in turn; how many there were."""
    trial.begin()
    trial.run()
    wanted, steps = trial.end(), trial.steps()
    submitted = steps.count("rspamd-submit")
    assert submitted > 10
    at = 0
    while True:
        at += 1
        trial.begin()
        if trial.run(kill_at=at) == 0:
            assert at > len(steps) // 2  # it came to its end before that step
            return at - 1
        in_flight = messages_in_flight(trial.steps())
        trial.stack.rspamd.wait_quiet()
        resume(trial)
        end = trial.end()
        where = f"killed at step {at}, {trial.steps()[at - 1]}"
        assert difference(end.counters, wanted.counters) <= 2 * in_flight, where
        assert end.mail == wanted.mail, where
        assert end.contents == wanted.contents, where
        assert end.messages == wanted.messages, where
        assert trial.steps().count("rspamd-submit") <= submitted + CONNECTIONS, where


def test_kill_at_every_step_of_learn(stack: Stack, learnspool: Program,
                                     fault_binary: Path) -> None:
    """Invariants 2 and 3: nothing is learned that rspamd did not say, and a killed run is taken
    up: same marks, same ledger, same counters, at most `connections` messages sent twice."""
    trial = trial_of(stack, learnspool, fault_binary, "learn")
    assert check_kills(trial, lambda t: assert_done(t.run())) > 40


def test_kill_at_every_step_of_run(stack: Stack, learnspool: Program,
                                   fault_binary: Path) -> None:
    """Invariant 1 besides: nothing is removed before it is settled, and what was being removed when
    the kill came is removed by the next run."""
    trial = trial_of(stack, learnspool, fault_binary, "run")
    assert check_kills(trial, lambda t: assert_done(t.run())) > 50


def assert_done(status: int) -> None:
    assert status == 0


def test_kill_again_and_again(stack: Stack, learnspool: Program, fault_binary: Path) -> None:
    """Killed soon after each start, run after run, it still gets through."""
    trial = trial_of(stack, learnspool, fault_binary, "run")
    trial.begin()
    trial.run()
    wanted = trial.end()
    trial.begin()
    for kills in range(200):
        if trial.run(kill_at=15) == 0:
            break
    else:
        pytest.fail("it never came to its end")
    assert kills > 3
    end = trial.end()
    assert (end.mail, end.messages) == (wanted.mail, wanted.messages)
    assert difference(end.counters, wanted.counters) <= 2 * CONNECTIONS * kills




def test_kill_between_messages_of_one_forward(stack: Stack, program: Program,
                                              fault_binary: Path) -> None:
    """At every step: the next run sends what rspamd has not learned, and at most what was in
    flight again; the letter is marked when all of it is learned."""
    mails = [crlf(b"Subject: %d\n\nbuy %d\n" % (n, n)) for n in range(3)]
    for step in range(1, 100):
        stack.clean()
        shutil.rmtree(program.ledger)
        program.ledger.mkdir()
        stack.dovecot.append_many(SPAM, "INBOX", [forward(*mails)])
        with FakeController() as rspamd:
            program.configure(Rig(rspamd, stack.dovecot, stack.authority),
                              {SPAM: 'mailbox "INBOX" { class = spam }'}, account="unwrap = yes")
            command = [fault_binary, "--config", program.config, "learn"]
            done = subprocess.run(command, capture_output=True, timeout=60,
                                  env=environment({"LEARNSPOOL_FAULT_STEP": str(step)}))
            if done.returncode == 0:
                assert step > 10
                return
            assert done.returncode == -signal.SIGKILL
            assert program("learn").rc == 0
            bodies = [request.body for request in rspamd.learns]
            assert sorted(set(bodies)) == mails and len(bodies) <= len(mails) + 1, step
        assert all("$LearnedSpam" in flags for flags in stack.dovecot.flags(SPAM).values())
    raise AssertionError("it never ends")
