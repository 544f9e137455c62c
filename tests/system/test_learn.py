"""What `learnspool learn` promises, on real servers: everything once, and the truth about it."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import time

import pytest

import corpus
from fakes import (LEARNED, FakeController, FakeImap, Message, Reply, Request, configure, http,
                   then_silence)
from program import Program, Result, Rig
from servers import Stack, crlf, wait_until

SPAM, HAM = "spam@example.org", "ham@example.org"
MIXED = 'mailbox "INBOX" { class = ham }\nmailbox "Junk" { class = spam }'
MARKS = {"$LearnedSpam", "$LearnedHam", "$LearnSkipped"}


def relayed(raw: bytes, n: int) -> bytes:
    """The copy of a message that travelled: same words, other transport."""
    return (f"Return-Path: <user{n}@example.org>\r\nDelivered-To: spam@example.org\r\n"
            f"Received: from mx.example.org by mail{n}.example.org with LMTP\r\n"
            f"\tid {n}; Mon, 01 Jan 2024 00:00:{n % 60:02} +0000\r\n").encode() + crlf(raw)


def outcomes(result: Result) -> dict[str, int]:
    """What the summary counts, without zeros."""
    counts = result.event("summary")["outcomes"]
    return {name: n for name, n in counts.items() if n}


def learn(program: Program, *args: str, rc: int = 0) -> Result:
    result = program("learn", "--json", *args)
    assert result.rc == rc, result
    return result


def marks(stack: Stack, user: str, mailbox: str = "INBOX") -> list[str]:
    """Our mark on each message; a message never has two."""
    found = [flags & MARKS for flags in stack.dovecot.flags(user, mailbox).values()]
    assert all(len(flags) < 2 for flags in found), found
    return ["".join(flags) for flags in found]


def small(kind: str, n: int) -> list[bytes]:
    """The n shortest real messages of a class, for when it is not their content that counts."""
    return sorted((corpus.spam if kind == "spam" else corpus.ham)(), key=len)[:n]


# ---- the count ----

def test_the_summary_is_rspamds_own_count(stack: Stack, learnspool: Program) -> None:
    """Every message is learned once, copies of it are known, and the summary equals rspamd's
    counters to the message, for each class; then there is nothing to do, and no FETCH and no
    SEARCH is spent on finding that out."""
    for user, mails in ((SPAM, corpus.spam()[:120]), (HAM, corpus.ham()[:100])):
        copies = [relayed(raw, n) for n, raw in enumerate(mails[::5])]
        stack.dovecot.append_many(user, "INBOX", [*map(crlf, mails), *copies])
    done = learn(learnspool)
    summary = done.event("summary")
    assert (summary["learned_spam"], summary["learned_ham"]) == stack.rspamd.learns() == (120, 100)
    assert outcomes(done) == {"learned": 220, "known": 44}
    assert marks(stack, SPAM) == ["$LearnedSpam"] * 144
    assert marks(stack, HAM) == ["$LearnedHam"] * 120

    again = learnspool("learn", "-v", "-v")
    assert again.rc == 0 and stack.rspamd.learns() == (120, 100)
    assert not re.search(r"command=L\d+ UID (FETCH|SEARCH|STORE)", again.err)
    assert len(re.findall(r"command=L", again.err)) <= 2 * 3  # CAPABILITY, SELECT, LOGOUT


def test_the_text_summary_says_the_same(stack: Stack, learnspool: Program) -> None:
    """The text output: one line a mailbox, then the sum; --quiet says nothing of success."""
    stack.dovecot.append_many(SPAM, "INBOX", small("spam", 3))
    stack.dovecot.append_many(HAM, "INBOX", [small("ham", 1)[0], relayed(small("ham", 1)[0], 1)])
    done = learnspool("learn")
    assert done.rc == 0 and done.err == ""
    assert done.out.splitlines()[:2] == [f"{SPAM} INBOX: 3 learned",
                                         f"{HAM} INBOX: 1 learned, 1 known"]
    assert "learned 4 (spam 3, ham 1)   known 1   skipped 0   failed 0" in done.out
    quiet = learnspool("learn", "-q")
    assert (quiet.rc, quiet.out, quiet.err) == (0, "", "")


def test_messages_that_arrive_later_are_learned_later(stack: Stack, learnspool: Program) -> None:
    """A second run takes what is new and nothing else."""
    first, second = small("spam", 6)[:3], small("spam", 6)[3:]
    stack.dovecot.append_many(SPAM, "INBOX", first)
    assert outcomes(learn(learnspool)) == {"learned": 3}
    stack.dovecot.append_many(SPAM, "INBOX", [relayed(first[0], 1), *second])
    assert outcomes(learn(learnspool)) == {"learned": 3, "known": 1}
    assert stack.rspamd.learns() == (6, 0) and marks(stack, SPAM) == ["$LearnedSpam"] * 7


# ---- what rspamd is given ----

def collected(original: bytes) -> bytes:
    """A message as it lies in a collection account: with what Sieve, Postfix and LMTP put on
    top (docs/dovecot.md), and without its own Return-Path."""
    return (b"Return-Path: <alice@example.org>\r\nDelivered-To: spam@example.org\r\n"
            b"Received: from mx.example.org ([127.0.0.1])\r\n\tby mail.example.org with LMTP\r\n"
            b"\tid 4ZQv; Mon, 01 Jan 2024 00:00:00 +0000\r\n"
            b"Received: by mx.example.org (Postfix, from userid 65534)\r\n"
            b"\tid 5996F98A144; Mon, 01 Jan 2024 00:00:00 +0000\r\n"
            b"X-Sieve: Pigeonhole Sieve 0.5.19 (4eae2f79)\r\n"
            b"X-Sieve-Redirected-From: alice@example.org\r\n"
            b"X-Learnspool-Report: v1; class=spam; user=alice@example.org;\r\n"
            b"\ttoken=0123456789abcdef\r\n") + original


def redirected(original: bytes) -> bytes:
    """The same from a Sieve script that adds no header of ours."""
    return collected(original).replace(b"X-Learnspool-Report: v1; class=spam; "
                                       b"user=alice@example.org;\r\n\ttoken=0123456789abcdef\r\n",
                                       b"", 1)


def test_rspamd_is_given_the_original_byte_for_byte(stack: Stack, program: Program) -> None:
    """Below the marker of the collection not a byte is lost, added or changed, and nothing
    above it reaches rspamd; a message without a marker is given as it is."""
    originals = [crlf(raw) for raw in corpus.spam()[::12]]
    odd = [b"Subject: caf\xe9\r\nX-Learnspool-Report: v1; forged\r\n\r\n8bit \x80\xff\xfe\r\n",
           b"Subject: controls\r\n\r\n\x01\x02\x1b[31m\x7f bell \x07\r\n.\r\n..\r\nFrom me\r\n",
           b"Subject: no newline at the end\r\n\r\nlast line",
           b"Subject: long\r\n\r\n" + b"x" * 20_000 + b"\r\n"]
    plain = [crlf(raw) for raw in corpus.spam()[5::40]]
    sieved = [crlf(raw) for raw in corpus.spam()[7::40]]
    stack.dovecot.append_many(SPAM, "INBOX", [*map(collected, originals + odd), *plain,
                                              *map(redirected, sieved)])
    with FakeController() as rspamd:
        program.configure(Rig(rspamd, stack.dovecot, stack.authority))
        learn(program)
        assert sorted(r.body for r in rspamd.learns) == sorted(originals + odd + plain + sieved)


def test_nul_bytes_reach_rspamd(program: Program) -> None:
    """Mail is bytes: NULs in it change nothing (no real server stores them, a fake does)."""
    raw = b"Subject: a\0b\r\n\r\nbefore\0after\0\r\n"
    with FakeController() as rspamd, FakeImap([Message(raw)]) as imap:
        configure(program, imap, rspamd)
        assert outcomes(learn(program)) == {"learned": 1}
        assert [r.body for r in rspamd.learns] == [raw]


# ---- verdicts that change ----

def test_the_newest_verdict_wins(stack: Stack, learnspool: Program) -> None:
    """Spam that a later run finds as ham is learned as ham; rspamd moves it, the flip is
    counted, and back again."""
    raw = small("spam", 1)[0]
    stack.dovecot.append(SPAM, "INBOX", raw)
    learn(learnspool)
    assert stack.rspamd.learns() == (1, 0)
    stack.dovecot.append(HAM, "INBOX", relayed(raw, 1))
    done = learn(learnspool)
    assert (done.event("summary")["flipped"], stack.rspamd.learns()) == (1, (0, 1))
    stack.dovecot.append(SPAM, "INBOX", relayed(raw, 2))
    done = learn(learnspool)
    assert (done.event("summary")["flipped"], stack.rspamd.learns()) == (1, (1, 0))
    assert marks(stack, SPAM) == ["$LearnedSpam"] * 2 and marks(stack, HAM) == ["$LearnedHam"]


@pytest.mark.parametrize("spam_date, ham_date, learns, expected", [
    (2_000, 1_000, (1, 0), {"learned": 1, "overruled": 1}),
    (1_000, 2_000, (0, 1), {"learned": 2}),
])
def test_in_one_run_the_later_date_decides(
        stack: Stack, learnspool: Program, spam_date: int, ham_date: int,
        learns: tuple[int, int], expected: dict[str, int]) -> None:
    """Two verdicts on one message in one run: the later INTERNALDATE counts, whatever the order
    in which the mailboxes are read; and it stays so in the next run."""
    raw = small("spam", 1)[0]
    stack.dovecot.append(SPAM, "INBOX", raw, (), 1_700_000_000 + spam_date)
    stack.dovecot.append(HAM, "INBOX", relayed(raw, 1), (), 1_700_000_000 + ham_date)
    assert outcomes(learn(learnspool)) == expected
    assert stack.rspamd.learns() == learns
    assert outcomes(learn(learnspool)) == {} and stack.rspamd.learns() == learns


def test_the_order_within_one_mailbox_does_not_matter(stack: Stack, learnspool: Program) -> None:
    """Ten copies of one message in one mailbox are one learn: also while the first one is on
    its way to rspamd, none of the others is sent."""
    raw = small("spam", 1)[0]
    stack.dovecot.append_many(SPAM, "INBOX", [relayed(raw, n) for n in range(10)])
    assert outcomes(learn(learnspool)) == {"learned": 1, "known": 9}
    assert stack.rspamd.learns() == (1, 0) and marks(stack, SPAM) == ["$LearnedSpam"] * 10


def test_a_copy_of_what_is_in_flight_is_not_sent(stack: Stack, program: Program) -> None:
    """rspamd alone would not notice: it is slow to answer and says "learned" to everything."""
    def slow(request: Request) -> Reply:
        time.sleep(0.2)
        return LEARNED

    raw = small("spam", 1)[0]
    stack.dovecot.append_many(SPAM, "INBOX", [relayed(raw, n) for n in range(4)])
    with FakeController(slow) as rspamd:
        program.configure(Rig(rspamd, stack.dovecot, stack.authority))
        assert outcomes(learn(program)) == {"learned": 1, "known": 3}
        assert len(rspamd.learns) == 1


# ---- what is not learned ----

PGP = (b"From: alice@example.org\r\nSubject: secret\r\nMIME-Version: 1.0\r\n"
       b"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n"
       b"\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
       b"Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n"
       b"hQEMA\r\n-----END PGP MESSAGE-----\r\n--b--\r\n")


def test_what_is_not_learned_is_marked_and_explained(stack: Stack, learnspool: Program) -> None:
    """Too short, too large, encrypted: each is counted apart, with its reason, kept, marked
    $LearnSkipped, and not tried again."""
    big = b"Subject: big\r\n\r\n" + b"a line of a large message\r\n" * 8000
    learnspool.configure(stack, top="max-size = 100K\nencrypted = skip\n")
    mails = [b"Subject: hi\r\n\r\nthree words only\r\n", big, PGP, crlf(small("spam", 1)[0])]
    stack.dovecot.append_many(SPAM, "INBOX", mails)
    done = learn(learnspool)
    assert outcomes(done) == {"learned": 1, "unlearnable": 1, "large": 1, "encrypted": 1}
    reasons = {event["outcome"]: event["reason"] for event in done.events
               if event["event"] == "message"}
    assert "less tokens than required" in reasons["unlearnable"]
    assert marks(stack, SPAM) == ["$LearnSkipped"] * 3 + ["$LearnedSpam"]
    assert list(stack.dovecot.messages(SPAM).values()) == mails
    assert outcomes(learn(learnspool)) == {} and stack.rspamd.learns() == (1, 0)


def test_encrypted_mail_is_learned_by_default(stack: Stack, program: Program) -> None:
    """Skipping it is an option, as learnspool.conf(5) says."""
    stack.dovecot.append(SPAM, "INBOX", PGP)
    with FakeController() as rspamd:
        program.configure(Rig(rspamd, stack.dovecot, stack.authority))
        assert outcomes(learn(program)) == {"learned": 1}


DEEP = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
                for n in range(100))


@pytest.mark.parametrize("raw, mark", [
    (b"", "$LearnSkipped"), (DEEP, "$LearnedSpam"), (b"\r\n", "$LearnedSpam"),
    (b"Subject: only a header\r\n", "$LearnedSpam"), (b"no header at all\r\n", "$LearnedSpam"),
], ids=["empty", "nested too deep", "a newline", "a header", "a body"])
def test_messages_that_are_none(program: Program, raw: bytes, mark: str) -> None:
    """What has no content, or hides it, is rspamd's to judge, as everything else; the messages
    beside it are learned, and no later run looks at it again."""
    def answer(request: Request) -> Reply:
        empty = http(400, "Empty body is not permitted",
                     b'{"error":"Empty body is not permitted"}')
        return LEARNED if request.body else empty

    with FakeController(answer) as rspamd, FakeImap([Message(raw), small("spam", 1)[0]]) as imap:
        configure(program, imap, rspamd)
        done = learn(program)
        assert imap.flags() == {1: {mark}, 2: {"$LearnedSpam"}}
        (event,) = [e for e in done.events if e["event"] == "message" and e["uid"] == 1]
        assert event["reason"] or mark == "$LearnedSpam"
        fetches = imap.count("UID FETCH")
        assert outcomes(learn(program)) == {} and imap.count("UID FETCH") == fetches


def test_unread_mail_waits_where_only_read_mail_counts(stack: Stack, learnspool: Program) -> None:
    """seen-only: what its user has not read is not learned, not marked and not flagged \\Seen;
    it is learned once it has been read."""
    learnspool.configure(stack, {HAM: 'mailbox "INBOX" { class = ham  seen-only = true }'})
    one, two = small("ham", 2)
    stack.dovecot.append(HAM, "INBOX", one, (r"\Seen",))
    stack.dovecot.append(HAM, "INBOX", two)
    assert outcomes(learn(learnspool)) == {"learned": 1, "unread": 1}
    flags = stack.dovecot.flags(HAM)
    assert not flags[2] & (MARKS | {r"\Seen"}) and flags[1] >= {"$LearnedHam"}
    assert outcomes(learn(learnspool)) == {"unread": 1}
    with stack.dovecot.session(HAM, "INBOX") as link:
        stack.dovecot.check(link.uid("STORE", "2", "+FLAGS", r"(\Seen)"))
    assert outcomes(learn(learnspool)) == {"learned": 1} and stack.rspamd.learns() == (0, 2)


# ---- mailboxes ----

NAMES = ["A folder", 'say "x"', "back\\slash", "Spaß & Müll", "日本語", "Junk/2024", "a&b%"]


def test_mailbox_names(stack: Stack, learnspool: Program) -> None:
    """Blanks, quotes, backslashes, UTF-8 and & in names of mailboxes, as they stand in the
    configuration."""
    quoted = [name.replace("\\", "\\\\").replace('"', '\\"') for name in NAMES]
    boxes = "\n".join(f'mailbox "{name}" {{ class = ham }}' for name in quoted)
    learnspool.configure(stack, {HAM: boxes})
    for name, raw in zip(NAMES, small("ham", len(NAMES)), strict=True):
        stack.dovecot.append(HAM, name, raw)
    done = learn(learnspool)
    assert outcomes(done) == {"learned": len(NAMES)}
    assert [e["mailbox"] for e in done.events if e["event"] == "mailbox-end"] == NAMES
    assert all(marks(stack, HAM, name) == ["$LearnedHam"] for name in NAMES)


def test_junk_is_found_by_its_special_use(stack: Stack, learnspool: Program) -> None:
    """"\\\\Junk" is whichever mailbox the server says is Junk."""
    learnspool.configure(stack, {HAM: 'mailbox "\\\\Junk" { class = spam }'})
    stack.dovecot.append(HAM, "Junk", small("spam", 1)[0])
    assert outcomes(learn(learnspool)) == {"learned": 1}
    assert marks(stack, HAM, "Junk") == ["$LearnedSpam"]


def test_spam_and_ham_of_one_account(stack: Stack, learnspool: Program) -> None:
    """Junk is spam and INBOX is ham; a message that its user moves out of Junk becomes ham,
    although it came along with the mark of spam, and the other way round."""
    learnspool.configure(stack, {HAM: MIXED})
    stack.dovecot.append(HAM, "Junk", small("spam", 1)[0])
    stack.dovecot.append(HAM, "INBOX", small("ham", 1)[0])
    learn(learnspool)
    assert stack.rspamd.learns() == (1, 1)
    with stack.dovecot.session(HAM, "Junk") as link:
        stack.dovecot.check(link.uid("MOVE", "1", "INBOX"))
    assert learn(learnspool).event("summary")["flipped"] == 1
    assert stack.rspamd.learns() == (0, 2) and marks(stack, HAM) == ["$LearnedHam"] * 2
    with stack.dovecot.session(HAM, "INBOX") as link:
        stack.dovecot.check(link.uid("MOVE", "1:*", "Junk"))
    assert learn(learnspool).event("summary")["flipped"] == 2
    assert stack.rspamd.learns() == (2, 0) and marks(stack, HAM, "Junk") == ["$LearnedSpam"] * 2


def test_max_and_account(stack: Stack, learnspool: Program) -> None:
    """--max takes so many messages in all, in fair shares; --account only these accounts. What is
    left is said; it follows in the next runs, and nothing is left out."""
    stack.dovecot.append_many(SPAM, "INBOX", small("spam", 5))
    stack.dovecot.append_many(HAM, "INBOX", small("ham", 5))
    done = learn(learnspool, "--max", "3")
    assert outcomes(done) == {"learned": 3} and stack.rspamd.learns() == (2, 1)
    assert [(e["left"], e["left_because"]) for e in done.events if e["event"] == "mailbox-end"] == [
        (3, "the limit of --max"), (4, "the limit of --max")]
    assert outcomes(learn(learnspool, "--account", HAM, "--max", "2")) == {"learned": 2}
    assert stack.rspamd.learns() == (2, 3)
    assert outcomes(learn(learnspool, "--max", "4")) == {"learned": 4}
    assert stack.rspamd.learns() == (4, 5)
    done = learn(learnspool, "--max", "0")
    assert outcomes(done) == {} and done.event("summary")["left"] == 1
    assert outcomes(learn(learnspool)) == {"learned": 1}
    assert stack.rspamd.learns() == (5, 5)
    assert marks(stack, SPAM) + marks(stack, HAM) == ["$LearnedSpam"] * 5 + ["$LearnedHam"] * 5


# ---- what was forgotten ----

def test_a_lost_ledger_learns_nothing_again(stack: Stack, program: Program) -> None:
    """The marks on the server say what was done: rspamd is sent nothing."""
    stack.dovecot.append_many(SPAM, "INBOX", [*small("spam", 4), b"Subject: x\r\n\r\nshort\r\n"])
    program.configure(stack)
    learn(program)
    assert stack.rspamd.learns() == (4, 0)
    shutil.rmtree(program.ledger)
    with FakeController() as rspamd:
        program.configure(Rig(rspamd, stack.dovecot, stack.authority))
        done = learn(program)
        assert done.event("summary")["learned"] == 0 and rspamd.learns == []
        assert (done.event("summary")["known"], done.event("summary")["skipped"]) == (4, 1)
        assert learn(program).event("summary")["known"] == 0 and rspamd.learns == []


def test_a_mailbox_made_anew_is_known_by_its_content(stack: Stack, program: Program) -> None:
    """Another UIDVALIDITY: the UIDs mean nothing any more, and the digests still do."""
    mails = small("spam", 5)
    program.configure(stack, {SPAM: 'mailbox "Reports" { class = spam }'})
    stack.dovecot.append_many(SPAM, "Reports", mails[:4])
    learn(program)
    with stack.dovecot.session(SPAM) as link:
        stack.dovecot.check(link.delete("Reports"))
    time.sleep(1.1)  # UIDVALIDITY is a time in seconds
    stack.dovecot.append_many(SPAM, "Reports", [mails[4], *mails[:4]])
    done = learn(program)
    assert outcomes(done) == {"learned": 1, "known": 4} and stack.rspamd.learns() == (5, 0)
    assert "created anew" in done.err
    assert marks(stack, SPAM, "Reports") == ["$LearnedSpam"] * 5


# ---- being stopped ----

def slow_learn(request: Request) -> Reply:
    time.sleep(0.05)
    return LEARNED


def bodies(rspamd: FakeController) -> list[str]:
    return [hashlib.sha256(request.body).hexdigest() for request in rspamd.learns]


def test_a_signal_ends_the_run_in_order(stack: Stack, program: Program) -> None:
    """SIGTERM: what is in flight is finished and recorded, exit 143; the next run does the rest,
    and no message is sent twice."""
    stack.dovecot.append_many(SPAM, "INBOX", small("spam", 60))
    with FakeController(slow_learn) as rspamd:
        program.configure(Rig(rspamd, stack.dovecot, stack.authority),
                          rspamd="connections = 4")
        run = program.start("learn", "--json")
        wait_until(lambda: len(rspamd.learns) >= 12, 20, "some messages are learned")
        run.send_signal(signal.SIGTERM)
        out, err = run.communicate(timeout=20)
        assert run.returncode == 143, err
        assert b"stopped by a signal" in err and err.count(b"\n") == 1
        first = len(rspamd.learns)
        assert 12 <= first < 60
        assert outcomes(Result(143, out.decode(), "")) == {"learned": first}
        assert sum(map(bool, marks(stack, SPAM))) == first
        assert outcomes(learn(program)) == {"learned": 60 - first}
        assert len(bodies(rspamd)) == len(set(bodies(rspamd))) == 60
    assert marks(stack, SPAM) == ["$LearnedSpam"] * 60


@pytest.mark.parametrize("hangs", ["rspamd", "mail server"])
def test_a_signal_while_nobody_answers(program: Program, hangs: str) -> None:
    """Before there is anything to finish, a signal is obeyed at once."""
    with FakeController() as rspamd, FakeImap(small("spam", 1)) as imap:
        if hangs == "rspamd":
            rspamd.stat = then_silence
        else:
            imap.lies["GREETING"] = lambda honest: then_silence(honest[:4])
        configure(program, imap, rspamd, account="")
        run = program.start("learn")
        wait_until(lambda: bool(rspamd.requests if hangs == "rspamd" else imap.connections), 10)
        time.sleep(0.1)
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=3)
        assert run.returncode == 143 and b"stopped by a signal" in err


def test_a_second_signal_is_obeyed_at_once(stack: Stack, program: Program) -> None:
    """An administrator is not kept waiting by an rspamd that hangs."""
    def hang(request: Request) -> Reply:
        time.sleep(30)
        return LEARNED

    stack.dovecot.append_many(SPAM, "INBOX", small("spam", 2))
    with FakeController(hang) as rspamd:
        program.configure(Rig(rspamd, stack.dovecot, stack.authority))
        run = program.start("learn")
        wait_until(lambda: len(rspamd.learns) == 2, 20, "both are in flight")
        run.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        assert run.wait(5) == -signal.SIGINT
        run.communicate()


def test_one_run_at_a_time(stack: Stack, program: Program) -> None:
    """The second one exits with 75 and says who is at work; the first one is not disturbed."""
    stack.dovecot.append_many(SPAM, "INBOX", small("spam", 30))
    with FakeController(slow_learn) as rspamd:
        program.configure(Rig(rspamd, stack.dovecot, stack.authority),
                          rspamd="connections = 1")
        run = program.start("learn")
        wait_until(lambda: len(rspamd.learns) >= 2, 20, "the first run is at work")
        second = program("learn")
        assert second.rc == 75 and second.err.count("\n") == 1
        assert re.search(rf"in use by process {run.pid} \(learnspool learn\) since 20", second.err)
        run.communicate(timeout=60)
        assert run.returncode == 0 and len(rspamd.learns) == 30


@pytest.mark.parametrize("after", [0, 5, 23])
def test_kill_9_costs_only_what_was_in_flight(stack: Stack, program: Program,
                                              after: int) -> None:
    """Killed in the middle, the next run ends as one that was never killed; no message is sent
    twice but those that were in flight, and no mark is there without its learn."""
    stack.dovecot.append_many(SPAM, "INBOX", small("spam", 40))
    with FakeController(slow_learn) as rspamd:
        program.configure(Rig(rspamd, stack.dovecot, stack.authority),
                          rspamd="connections = 4")
        run = program.start("learn")
        wait_until(lambda: len(rspamd.learns) > after, 20, "some messages are learned")
        run.kill()
        run.communicate()
        assert sum(map(bool, marks(stack, SPAM))) <= len(rspamd.learns)
        learn(program)
        assert len(set(bodies(rspamd))) == 40 and len(bodies(rspamd)) <= 44
        assert outcomes(learn(program)) == {}
    assert marks(stack, SPAM) == ["$LearnedSpam"] * 40


def test_kill_9_and_rspamds_counters(stack: Stack, learnspool: Program) -> None:
    """With real rspamd: marks and counters end as those of a run that was not killed, but for what
    was in flight: a learn whose client is gone rspamd gives up half-way, and counts it again."""
    mails = corpus.short(corpus.spam(), 60)
    stack.dovecot.append_many(SPAM, "INBOX", mails)
    learn(learnspool)
    undisturbed = stack.rspamd.learns()[0], marks(stack, SPAM)
    assert undisturbed[0] > 50

    stack.clean()
    shutil.rmtree(learnspool.ledger)
    learnspool.configure(stack, rspamd="connections = 2")
    stack.dovecot.append_many(SPAM, "INBOX", mails)
    run = learnspool.start("learn")
    wait_until(lambda: stack.rspamd.learns()[0] >= 15, 20, "some messages are learned")
    run.kill()
    run.communicate()
    stack.rspamd.wait_quiet()
    learn(learnspool)
    assert undisturbed[0] <= stack.rspamd.learns()[0] <= undisturbed[0] + 2
    assert marks(stack, SPAM) == undisturbed[1]


def test_rspamds_own_count_is_shown_by_class(stack: Stack, learnspool: Program) -> None:
    """What /stat says, which a restart of rspamd brings up to date at once."""
    stack.dovecot.append_many(SPAM, "INBOX", corpus.spam()[:3])
    stack.dovecot.append_many(HAM, "INBOX", corpus.ham()[:2])
    assert learnspool("learn").rc == 0 and stack.rspamd.learns() == (3, 2)
    stack.rspamd.stop()
    stack.rspamd.start()
    done = learnspool("learn")
    assert "rspamd now: spam 3/200, ham 2/200 or more - Bayes begins" in done.out
    said = learnspool("learn", "--json").event("rspamd")
    assert (said["spam"], said["ham"]) == (3, 2)
