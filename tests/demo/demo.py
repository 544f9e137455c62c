#!/usr/bin/python3
"""make demo: what learnspool does, on real mail and real servers, in under a minute. Private
Dovecot, rspamd and Redis on loopback; users' reports arrive at spam@ and ham@; learnspool
teaches rspamd; and rspamd judges mail that it has never seen, before and after. Exits with 0
only if it judges better, and if learnspool's summary is what rspamd itself counted."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

import corpus  # noqa: E402
from program import Program, binary, environment  # noqa: E402
from servers import Rspamd, ServerError, Stack  # noqa: E402

ACCOUNTS = {"spam": "spam@example.org", "ham": "ham@example.org"}
REPORTERS = ("anna@example.org", "bela@example.org", "chloe@example.org")
TWICE = 10  # every tenth message is reported by a second user too
SCANS = 8  # at a time
SPAM_ACTIONS = ("add header", "rewrite subject", "reject")
HAM_WEIGHT = 10  # a ham that is caught does as much harm as so many spam that are not
# The corpus is of 2002: rspamd's rule on old dates would speak against each message.
RULES = {"headers_group.conf": 'symbols { "DATE_IN_PAST" { weight = 0.0; } }\n'}
SUMMARY = re.compile(r"^learned (?P<learned>\d+) \(spam (?P<spam>\d+), ham (?P<ham>\d+)\)"
                     r"\s+known (?P<known>\d+)\s+skipped (?P<skipped>\d+)"
                     r"\s+failed (?P<failed>\d+)", re.MULTILINE)


class Failed(Exception):
    """A step did not do what it must; the text says what."""


def step(text: str) -> None:
    print(f"\n=> {text}", flush=True)


def held_out(mails: list[bytes]) -> list[bytes]:
    """100 of 360, spread evenly, which rspamd is never taught."""
    return [raw for i, raw in enumerate(mails) if i % 18 < 5]


def to_report(mails: list[bytes]) -> list[bytes]:
    return [raw for i, raw in enumerate(mails) if i % 18 >= 5]


def report(raw: bytes, reporter: str, number: int) -> bytes:
    """The copy that a reporter's move sends, as Pigeonhole and Postfix write it: Return-Path
    gone, the reporter's own delivery and the redirect's header fields on top."""
    head, blank, body = raw.partition(b"\n\n")
    head = re.sub(rb"^Return-Path:.*\n(?:[ \t].*\n)*", b"", head + b"\n", flags=re.M | re.I)
    now = formatdate()
    added = (f"Received: by mail.example.org (Postfix, from userid 5000)\n"
             f"\tid {number:010X}; {now}\n"
             f"X-Sieve: Pigeonhole Sieve 0.5.19 (4eae2f79)\n"
             f"X-Sieve-Redirected-From: {reporter}\n"
             f"Delivered-To: {reporter}\n"
             f"Received: from mx.example.org ([192.0.2.25])\n"
             f"\tby mail.example.org with LMTP\n"
             f"\tid {number:08x}{reporter[:2]}\n"
             f"\tfor <{reporter}>; {now}\n")
    return added.encode() + head + blank[1:] + body


def reports(mails: Iterable[bytes]) -> Iterator[tuple[bytes, str]]:
    """(message, envelope sender) each; every tenth comes twice, by way of two users."""
    for i, raw in enumerate(mails):
        first, second = REPORTERS[i % 3], REPORTERS[(i + 1) % 3]
        yield report(raw, first, i), first
        if i % TWICE == 0:
            yield report(raw, second, 0x10000 + i), second


class Verdicts(NamedTuple):
    """What rspamd says of 100 messages of one class."""

    caught: int  # its action: add header, rewrite subject, or reject
    bayes: int  # its Bayes classifier is rather sure that it is spam


def bayes_says_spam(answer: dict[str, Any]) -> bool:
    """The symbol is there once spam is likelier than ham, and carries how sure that is: 0 %
    means even odds."""
    symbol = answer["symbols"].get("BAYES_SPAM")
    return symbol is not None and float(symbol["options"][0].rstrip("%")) > 50


def judge(rspamd: Rspamd, mails: list[bytes]) -> Verdicts:
    with ThreadPoolExecutor(SCANS) as pool:
        answers = list(pool.map(rspamd.scan, mails))
    return Verdicts(sum(answer["action"] in SPAM_ACTIONS for answer in answers),
                    sum(map(bayes_says_spam, answers)))


def judge_both(rspamd: Rspamd) -> dict[str, Verdicts]:
    return {"spam": judge(rspamd, held_out(corpus.spam())),
            "ham": judge(rspamd, held_out(corpus.ham()))}


def run_live(command: list[str]) -> tuple[int, str]:
    """Run a command with its output shown as it comes, on a terminal of its own where we have
    one (so its progress bar shows); its exit status and output."""
    ours, theirs = pty.openpty() if sys.stdout.isatty() else os.pipe()
    if sys.stdout.isatty():
        tty.setraw(theirs)  # our own terminal turns LF into CRLF
        size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                          env=environment()) as process:
        os.close(theirs)
        shown = b"".join(echoed(ours))
    os.close(ours)
    return process.returncode, shown.decode("utf-8", "replace").replace("\r", "\n")


def echoed(source: int) -> Iterator[bytes]:
    """What comes from a pipe or terminal until its other end closes, printed on the way."""
    try:
        while chunk := os.read(source, 65536):
            os.write(sys.stdout.fileno(), chunk)
            yield chunk
    except OSError as error:
        if error.errno != errno.EIO:  # how a terminal says that it was closed
            raise


def learn(program: Program) -> dict[str, int]:
    """One run of learnspool; the numbers of its summary."""
    print("$ learnspool learn", flush=True)
    start = time.monotonic()
    status, output = run_live(program.command("learn"))
    print(f"(exit status {status}, {time.monotonic() - start:.1f} s)")
    if status != 0:
        raise Failed(f"learnspool ended with status {status}")
    found = SUMMARY.search(output)
    if not found:
        raise Failed("learnspool printed no summary")
    return {name: int(number) for name, number in found.groupdict().items()}


def deliver(stack: Stack) -> int:
    """Everybody's reports, over LMTP; how many there are."""
    count = 0
    for kind, mails in (("spam", corpus.spam()), ("ham", corpus.ham())):
        copies = list(reports(to_report(mails)))
        stack.dovecot.lmtp_many(ACCOUNTS[kind], copies)
        print(f"{ACCOUNTS[kind]}: {len(copies)} reports, of {len(to_report(mails))} messages")
        count += len(copies)
    return count


def mistakes(verdicts: dict[str, Verdicts]) -> int:
    return 100 - verdicts["spam"].caught + HAM_WEIGHT * verdicts["ham"].caught


def table(before: dict[str, Verdicts], after: dict[str, Verdicts]) -> None:
    rows = [(text, getattr(before[kind], what), getattr(after[kind], what))
            for text, kind, what in (("spam that rspamd marks or rejects", "spam", "caught"),
                                     ("ham that it marks or rejects", "ham", "caught"),
                                     ("spam that Bayes takes for spam", "spam", "bayes"),
                                     ("ham that Bayes takes for spam", "ham", "bayes"))]
    rows.append((f"mistakes, a ham caught counting {HAM_WEIGHT}", mistakes(before),
                 mistakes(after)))
    print(f"{'of 100 held-out messages of each class':40}{'before':>8}{'after':>8}")
    for text, *numbers in rows:
        print(f"  {text:38}{numbers[0]:8}{numbers[1]:8}")


def check(good: bool, text: str) -> None:
    print(("ok      " if good else "FAILED  ") + text)
    if not good:
        raise Failed(text)


def counts_agree(said: dict[str, int], counted: tuple[int, int], reported: int) -> None:
    spam, ham = counted
    check((said["spam"], said["ham"]) == counted,
          f"learnspool says it taught {said['spam']} spam and {said['ham']} ham, "
          f"rspamd counts {spam} and {ham}")
    accounted = said["learned"] + said["known"] + said["skipped"] + said["failed"]
    check(accounted == reported, f"{accounted} of {reported} reports are accounted for")
    check(min(counted) >= 200, "rspamd has the 200 of each class that Bayes needs")


def demonstrate(stack: Stack, program: Program) -> None:
    step("rspamd judges 100 spam and 100 ham that nobody will report: before")
    before = judge_both(stack.rspamd)
    step("Users report other mail, some of it twice: copies reach spam@ and ham@ over LMTP")
    reported = deliver(stack)
    step("The configuration of learnspool")
    print(program.configure(stack).read_text(), end="")
    step("learnspool reads both mailboxes over TLS and teaches rspamd each message once")
    said = learn(program)
    counted = stack.rspamd.learns()
    step("A second run: nothing is new, so there is nothing to do")
    again = learn(program)
    step("The same 200 messages again: after")
    after = judge_both(stack.rspamd)
    table(before, after)
    step("Is it true?")
    counts_agree(said, counted, reported)
    check(again["learned"] == again["failed"] == 0 and stack.rspamd.learns() == counted,
          "the second run taught rspamd nothing")
    check(mistakes(after) < mistakes(before) and after["spam"].caught > before["spam"].caught,
          "rspamd judges better than before")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    if not binary().exists():
        print(f"{binary()} is not there: run make first", file=sys.stderr)
        return 1
    step("Starting Redis, rspamd and Dovecot (TLS by a CA made on the spot), all on loopback")
    try:
        with Stack(rspamd={"local": RULES}) as stack, \
                tempfile.TemporaryDirectory(prefix="learnspool-") as folder:
            demonstrate(stack, Program(Path(folder)))
    except KeyboardInterrupt:
        return 130
    except (Failed, ServerError, OSError) as failure:
        print(f"\nThe demonstration failed: {failure}", file=sys.stderr)
        return 1
    print(f"\nDone in {time.monotonic() - start:.0f} s; the servers and their mail are gone.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
