"""A dry run changes nothing: not the mail, not the ledger, not rspamd; and what it prints is
safe to look at."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import corpus
from fakes import FakeController, FakeImap, Message, configure
from program import Program
from servers import Stack

SPAM, HAM = "spam@example.org", "ham@example.org"
MAILS = sorted(corpus.spam(), key=len)[:6]


def sums(folder: Path) -> dict[str, str]:
    """Every file of the ledger but the lock that readers of LMDB sign in."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir() if path.name != "lock.mdb"}


def test_nothing_changes(stack: Stack, learnspool: Program) -> None:
    """Flags of the messages (also \\Recent and \\Seen), the ledger's bytes and rspamd's counters
    are as they were, and the run that follows does exactly what was said."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS[:2])
    assert learnspool("learn").rc == 0
    stack.dovecot.append_many(SPAM, "INBOX", [*MAILS[1:], b"Subject: x\r\n\r\nshort\r\n"])
    stack.dovecot.append(HAM, "INBOX", MAILS[0])
    flags = {user: stack.dovecot.flags(user) for user in (SPAM, HAM)}
    assert r"\Recent" in flags[HAM][1]
    ledger, learns = sums(learnspool.ledger), stack.rspamd.learns()

    dry = learnspool("learn", "--dry-run")
    assert dry.rc == 0 and dry.err == ""
    assert {user: stack.dovecot.flags(user) for user in (SPAM, HAM)} == flags
    assert sums(learnspool.ledger) == ledger and stack.rspamd.learns() == learns == (2, 0)
    lines = dry.out.splitlines()
    assert len(lines) == 7 + 2 + 2 + 1  # messages, marks, mailboxes, the sum
    assert f"learn   spam {SPAM} INBOX uid=4 date=" in dry.out
    assert f"known   spam {SPAM} INBOX uid=3 date=" in dry.out
    assert f"learn   ham  {HAM} INBOX uid=1 date=" in dry.out
    # Nobody but rspamd knows which message is too short.
    assert lines[-1].startswith("would learn 6 (spam 5, ham 1), 1 of them changed class   known 1")

    assert learnspool("learn").rc == 0 and stack.rspamd.learns() == (5, 1)


def test_json_says_the_same(stack: Stack, learnspool: Program) -> None:
    """The first line carries the schema's version; each message is one line of facts."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS)
    events = learnspool("learn", "--dry-run", "--json").events
    assert events[0]["event"] == "start" and events[0]["schema"] == 2
    assert events[0]["dry_run"] is True
    messages = [event for event in events if event["event"] == "message"]
    assert [message["uid"] for message in messages] == [1, 2, 3, 4, 5, 6]
    assert all(message["outcome"] == "learned" and message["dry_run"] and message["subject"]
               and len(message["digest"]) == 64 for message in messages)
    assert stack.rspamd.learns() == (0, 0)


def test_a_first_dry_run_makes_no_ledger(stack: Stack, program: Program) -> None:
    """Not even an empty one, or its folder."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS)
    program.configure(stack)
    assert program("learn", "--dry-run").rc == 0 and list(program.ledger.iterdir()) == []
    program.ledger.rmdir()
    assert program("learn", "--dry-run").rc == 0 and not program.ledger.exists()
    assert stack.rspamd.learns() == (0, 0)


def test_nothing_is_asked_of_the_servers(program: Program) -> None:
    """EXAMINE, no SELECT, no STORE, BODY.PEEK only; of rspamd its /stat and no more."""
    with FakeController() as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        assert program("learn", "--dry-run").rc == 0
        verbs = {" ".join(command.split()[:2]) for command in imap.commands}
        assert {verb for verb in verbs if verb.startswith("UID")} == {"UID SEARCH", "UID FETCH"}
        assert imap.count("EXAMINE") == 1 and imap.count("SELECT") == 0
        words = " ".join(imap.commands)
        assert words.count("BODY") == words.count("BODY.PEEK[]") > 0
        assert {request.method for request in rspamd.requests} == {"GET"}


HOSTILE = ("\x1b]0;owned\x07\x1b[2J\x1b[1;1H", "a\tb\x00c\x7f\x9b31m", "\u202egnp.exe\u2066",
           "line\r\nlearn   ham  admin@example.org INBOX uid=1", "\ud800", "\u2028\u200f\ufeff")


@pytest.mark.parametrize("encoded", [False, True])
def test_hostile_headers_are_made_visible(program: Program, encoded: bool) -> None:
    """Escape sequences, bidirectional overrides, line breaks, NULs in From and Subject: none of
    them reaches the terminal, in a dry run, with -v, in the log or in JSON."""
    def field(text: str) -> bytes:
        raw = text.encode("utf-8", "surrogatepass")
        if not encoded:
            return raw.replace(b"\r\n", b" ")
        return b"=?utf-8?q?" + b"".join(b"=%02X" % byte for byte in raw) + b"?="

    mails = [Message(b"From: " + field(text) + b" <x@example.org>\r\nSubject: " + field(text)
                     + b"\r\n\r\nbody\r\n") for text in HOSTILE]
    with FakeController() as rspamd, FakeImap(mails) as imap:
        configure(program, imap, rspamd)
        texts = [program("learn", "--dry-run").out, program("learn", "--dry-run", "--json").out]
        last = program("learn", "-v", "-v")
    assert len(texts[0].splitlines()) == len(HOSTILE) + 3
    for text in (*texts, last.out, last.err):
        assert not [hex(ord(c)) for c in text if c not in "\n\xa0" and not c.isprintable()]
    assert "]0;owned" in texts[0] and re.search(r"\\xe2\\+x80\\+xaegnp.exe", texts[0])
