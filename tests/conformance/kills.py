"""kill -9 at each counted step of the program (built with FAULT=1, src/base/fault.h), then once
more: mail, ledger and rspamd's counters must end as if nobody had killed anything."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from dataclasses import dataclass
from typing import Any

from checks import HAM, NO_MOVE, SPAM, copies, exact, row
from trial import FAULT, SHORT, Between, Skip, Trial, again, keywords, mails, plain

CONNECTIONS = 2
NOW = 1_700_000_000


@dataclass
class End:
    """What is left when it is through."""

    counters: tuple[int, int]
    mail: dict[str, Counter[Any]]
    contents: Counter[Any]
    messages: Counter[Any]

    def unlike(self, wanted: End, allowed: int) -> list[str]:
        """What differs; of what was being sent rspamd may have counted so much more or less."""
        wrong = []
        if sum(abs(a - b) for a, b in zip(self.counters, wanted.counters)) > allowed:
            wrong.append(f"rspamd learned {self.counters} instead of {wanted.counters}")
        for place, found in self.mail.items():
            if found != wanted.mail[place]:
                more = (found - wanted.mail[place]).total()
                less = (wanted.mail[place] - found).total()
                wrong.append(f"{place}: {more} too many, {less} missing or changed")
        if self.contents != wanted.contents:
            wrong.append("the ledger's contents differ")
        if self.messages != wanted.messages:
            wrong.append("the ledger's messages differ")
        return wrong


class Killing:
    """One scenario: for each kill new mailboxes of one user, a new ledger, an empty rspamd."""

    def __init__(self, t: Trial, command: str, policy: str, hide: tuple[str, ...] = ()) -> None:
        if not FAULT.exists():
            raise Skip(f"{FAULT} is not there: make FAULT=1 BUILD=build/fault")
        self.t, self.command, self.policy = t, command, policy
        self.user, self.client = t.user()
        self.proxy: Between | None = t.between(hide=hide) if hide else None
        self.n = 0

    def place(self, name: str) -> str:
        return self.t.box(f"{name}{self.n}")

    def begin(self) -> None:
        """As before the first run; where only expire is killed, everything is learned."""
        t, client = self.t, self.client
        self.n += 1
        for name in ("Spam", "Ham", "Old"):
            client.create(self.place(name))
        spam, ham = mails("spam"), mails("ham")
        client.append(self.place("Spam"), *spam[:3], SHORT, date=NOW)
        client.append(self.place("Spam"), again(spam[0]), date=NOW + 1)
        client.append(self.place("Ham"), *ham[:2], date=NOW)
        client.append(self.place("Ham"), spam[3], date=NOW)
        client.append(self.place("Spam"), spam[3], date=NOW + 9)  # a change of mind
        client.leave()
        t.rspamd.forget()
        shutil.rmtree(t.ledger, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        lines = SPAM.format(self.place("Spam")) + HAM.format(self.place("Ham"))
        more = f"connections = {CONNECTIONS} "
        if self.command == "expire":
            t.configure({self.user: lines}, rspamd=more)
            t.ran(t("learn"))
        policy = self.policy.replace("Old", self.place("Old"))
        t.configure({self.user: lines}, policy, via=self.proxy, rspamd=more)

    @property
    def log(self) -> Any:
        return self.t.folder / "steps"

    def steps(self) -> list[str]:
        if not self.log.exists():
            return []
        return [line.split()[1] for line in self.log.read_text().splitlines()]

    def run(self, kill_at: int = 0) -> int:
        env = {"LEARNSPOOL_FAULT_LOG": str(self.log)}
        if kill_at:
            env["LEARNSPOOL_FAULT_STEP"] = str(kill_at)
        return self.t(self.command, program=FAULT, env=env).rc

    def end(self) -> End:
        found = {}
        for name in ("Spam", "Ham", "Old"):
            box = self.place(name)
            flags, raws = self.client.flags(box), self.client.bodies(box)
            found[name] = Counter(
                (plain(raws.get(uid, b"")), frozenset(keywords(f)), r"\Deleted" in f)
                for uid, f in flags.items())
        # What a killed run learned is known to the next: rspamd says 208.
        same = {"learned": "known"}
        contents = Counter((c["digest"], c["class"], same.get(c["outcome"], c["outcome"]))
                           for c in self.t.records("list"))
        messages = Counter((m["digest"], m["class"], m["state"],
                            same.get(m["outcome"], m["outcome"]))
                           for m in self.t.records("messages"))
        return End(self.t.rspamd.learns(), found, contents, messages)

    def in_flight(self) -> int:
        """Messages that were sent and not answered when the kill came."""
        steps = self.steps()
        sent = steps.count("rspamd-submit") - steps.count("rspamd-answer")
        return sent - 1 if steps and steps[-1] == "rspamd-submit" else sent

    def check(self, least: int) -> None:
        t = self.t
        self.begin()
        if self.run() != 0:
            t.need(False, f"undisturbed it exits {t.last.rc}: {t.last.err.strip()}")
        wanted, steps = self.end(), self.steps()
        t.need(len(steps) >= least, f"only {len(steps)} steps: {steps}")
        killed = 0
        while True:
            self.begin()
            rc = self.run(killed + 1)
            if rc == 0:
                break
            killed += 1
            where = f"killed at step {killed} of {len(steps)} ({self.steps()[-1]})"
            if not t.expect(rc == -signal.SIGKILL, f"{where}: exit {rc}: {t.last.err.strip()}"):
                continue
            flying = self.in_flight()
            t.rspamd.wait_quiet()
            if not t.expect(self.run() == 0,
                            f"{where}: the next run exits {t.last.rc}: {t.last.err.strip()}"):
                continue
            for wrong in self.end().unlike(wanted, 2 * flying):
                t.expect(False, f"{where}: {wrong}")
        t.expect(killed > len(steps) // 2, f"killed {killed} times only, of {len(steps)} steps")
        t.note(f"{killed} kills")


@row("kill -9 at each step: learn")
def kill_learn(t: Trial) -> None:
    Killing(t, "learn", "").check(25)


@row("kill -9 at each step: expire by delete")
def kill_delete(t: Trial) -> None:
    Killing(t, "expire", exact(t, "learned = 0s ")).check(5)


@row("kill -9 at each step: expire by move")
def kill_move(t: Trial) -> None:
    Killing(t, "expire", exact(t, 'learned = 0s action = move "Old" ')).check(5)


@row("kill -9 at each step: expire by move, as without MOVE")
def kill_copy(t: Trial) -> None:
    copies(t)
    Killing(t, "expire", exact(t, 'learned = 0s action = move "Old" '), NO_MOVE).check(5)
