"""Mail that could be lost, or learned wrongly: each of findings A1 to A11 of the hostile
readers, and what stands beside it. The servers are fakes, which can do at the right moment what
real ones do once a year."""

from __future__ import annotations

import base64
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from fakes import (CAPABILITIES, LEARNED, STAT, FakeController, FakeImap, Message, Reply,
                   by_subject, configure, configure_all, http, then_cut, then_silence)
from ledgerfile import TIMES, LedgerFile, older
from program import Program, Result
from servers import wait_until

SPAM, HAM, ALICE, BOB = (f"{name}@example.org" for name in ("spam", "ham", "alice", "bob"))
BOX = {"spam": 'mailbox "INBOX" { class = spam }', "ham": 'mailbox "INBOX" { class = ham }',
       "junk": 'keep = true  mailbox "INBOX" { class = spam }'}
MARKED = {"$LearnedSpam"}
PLAIN = CAPABILITIES.replace(" CONDSTORE", "")
DENIED = http(204, "all learn conditions denied learning spam in default classifier")
NO_STAT = http(200, "OK", b'{"statfiles":[]}')
# A second that passes; without it an age of 1s is not reached.
FAILED_GO = "retention { failed = 1s }\n"
LEARNED_GO = "retention { learned = 0s  known = 0s  skipped = 0s  failed = 0s }\n"
JAN, FEB, MAR = ("01-Jan-2026 00:00:00 +0000", "01-Feb-2026 00:00:00 +0000",
                 "01-Mar-2026 00:00:00 +0000")
DAY = 86400


@pytest.fixture
def rspamd() -> Iterator[FakeController]:
    with FakeController(by_subject) as controller:
        yield controller


def mail(word: str, subject: str = "offer") -> bytes:
    return (f"From: a@example.com\r\nSubject: {subject}\r\n\r\n"
            f"The words of {word} are not those of another one.\r\n").encode()


def of(user: str, raw: bytes) -> bytes:
    """A report by its envelope sender."""
    return f"Return-Path: <{user}>\r\n".encode() + raw


def verdicts(rspamd: FakeController) -> list[tuple[str, str]]:
    """What rspamd was taught, in order: (class, word)."""
    found = []
    for request in rspamd.learns:
        word = re.search(rb"words of (\S+) are", request.body)
        found.append((request.path.rpartition("/learn")[2], word[1].decode() if word else "?"))
    return found


def good(done: Result) -> Result:
    assert done.rc == 0, done
    return done


def dated(raw: bytes, date: str, *flags: str) -> Message:
    return Message(raw, set(flags), date)


# ---- A1: what rspamd never judged does not go as failed ----

def lose_backend(rspamd: FakeController, after: int) -> None:
    """From the answer after so many on, rspamd has no Redis any more."""
    rspamd.answer = lambda _: LEARNED if len(rspamd.learns) <= after else DENIED
    rspamd.stat = lambda: STAT if len(rspamd.learns) <= after else NO_STAT


def refuse(honest: bytes) -> bytes:
    return honest.splitlines(True)[-1].replace(b"OK done", b"NO [UNAVAILABLE] not now")


def only_the_end(honest: bytes) -> bytes:
    return honest.splitlines(True)[-1]


UNJUDGED: dict[str, tuple[str, Callable[[bytes], Reply]]] = {
    "the server does not give what it listed": ("BODY", only_the_end),
    "the server refuses the metadata": ("METADATA", refuse),
    "the server refuses the bodies": ("BODY", refuse),
    "the server hangs up at each body": ("BODY", lambda honest: then_cut()),
    "the server hangs up in the middle of one": ("BODY", lambda honest: then_cut(honest[:90])),
}


@pytest.mark.parametrize("command", ["learn", "run"])
@pytest.mark.parametrize("what", UNJUDGED)
def test_what_the_mail_server_kept_from_us_is_not_failed(program: Program,
                                                         rspamd: FakeController, what: str,
                                                         command: str) -> None:
    """A1: retention.failed deletes what rspamd refused, and nothing that it never saw."""
    kind, lie = UNJUDGED[what]
    with FakeImap([mail("one"), mail("two")], {kind: lie}) as imap:
        configure(program, imap, rspamd, top=FAILED_GO)
        program(command)
        time.sleep(1.1)
        program("expire")
        program("run")
        assert set(imap.messages) == {1, 2} and rspamd.learns == []
        imap.lies.clear()
        good(program("learn"))
        assert sorted(verdicts(rspamd)) == [("spam", "one"), ("spam", "two")]


def test_what_was_put_back_is_not_failed(program: Program, rspamd: FakeController) -> None:
    """A1: Redis is lost in the middle of a run: what was staged or denied then is as it was."""
    words = [f"w{n}" for n in range(6)]
    with FakeImap(map(mail, words)) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 2", top=FAILED_GO)
        lose_backend(rspamd, 2)
        done = program("learn")
        assert done.rc == 69 and "Redis" in done.err, done
        time.sleep(1.1)
        assert "expired" not in re.sub("expired 0", "", good(program("expire")).out)
        assert len(imap.messages) == 6
        rspamd.answer, rspamd.stat = by_subject, STAT
        good(program("learn"))
        assert {word for _, word in verdicts(rspamd)} == set(words)
        assert all(flags == MARKED for flags in imap.flags().values())


def test_what_a_signal_stopped_is_not_failed(program: Program, rspamd: FakeController) -> None:
    """A1: the same after a signal while rspamd is silent."""
    with FakeImap(map(mail, ("one", "two", "three"))) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 1", top=FAILED_GO)
        rspamd.answer = lambda _: then_silence()
        run = program.start("learn")
        wait_until(lambda: len(rspamd.learns) > 0, 20, "a message is sent")
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=30)
        assert run.returncode == 143
        time.sleep(1.1)
        good(program("expire"))
        assert set(imap.messages) == {1, 2, 3}


def test_what_rspamd_refused_goes_only_then(program: Program, rspamd: FakeController) -> None:
    """A1: what rspamd itself refused goes, if the policy says so; what was not answered, never."""
    with FakeImap([mail("one", "bad"), mail("two"), mail("three")]) as imap:
        configure(program, imap, rspamd, rspamd_lines="tries = 1", top=FAILED_GO)
        rspamd.answer = lambda request: http(503, "Busy") if b"of two" in request.body \
            else by_subject(request)
        assert program("learn").rc == 1
        time.sleep(1.1)
        assert "1 expired (1 failed)" in good(program("expire")).out
        assert set(imap.messages) == {2, 3}


def test_a_refusal_is_the_messages_own(program: Program, rspamd: FakeController) -> None:
    """A1's brother: rspamd refused number 1; the store is restored, another message has the number,
    and is put back since Redis is lost. It does not go for what its predecessor did."""
    with FakeImap([mail("one", "bad"), mail("two")], capabilities=PLAIN) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 1", top=FAILED_GO)
        assert program("learn").rc == 1
        imap.messages[1] = Message(mail("a-stranger", "another and a longer one"))
        lose_backend(rspamd, len(rspamd.learns))
        assert program("learn").rc == 69
        time.sleep(1.1)
        good(program("expire"))
        assert 1 in imap.messages
        rspamd.answer, rspamd.stat = by_subject, STAT
        good(program("learn"))
        assert ("spam", "a-stranger") in verdicts(rspamd)


@pytest.mark.parametrize("reason", ["all learn conditions denied learning spam in default "
                                    "classifier", "cannot learn: something about a backend"])
def test_no_204_is_believed_without_a_backend(program: Program, rspamd: FakeController,
                                              reason: str) -> None:
    """A1's brother: with 204 rspamd learned nothing; whatever its words are, they are worth
    something only while it has a backend."""
    with FakeImap([mail("one"), mail("two")]) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 1", top=FAILED_GO)
        lose_backend(rspamd, 1)
        rspamd.answer = lambda _: LEARNED if len(rspamd.learns) <= 1 else http(204, reason)
        assert program("learn").rc == 69
        time.sleep(1.1)
        good(program("expire"))
        assert set(imap.messages) == {1, 2}


# ---- A2: a quorum that was not reached decides nothing ----

QUORUM = ('reports {{ senders = "@example.org"  quorum = 2  quorum-within = {} }}\n')


def test_an_unconfirmed_report_decides_nothing(program: Program, rspamd: FakeController) -> None:
    """A2: one report times out; two more people report the same, and it is learned."""
    with FakeImap([of(ALICE, mail("one"))]) as imap:
        configure(program, imap, rspamd, top=QUORUM.format("1s"))
        good(program("learn"))
        time.sleep(1.1)
        assert "not confirmed" in good(program("learn")).out
        configure(program, imap, rspamd, top=QUORUM.format("1d") + "retention { skipped = 0s }\n")
        imap.add(of(BOB, mail("one")))
        imap.add(of("carol@example.org", mail("one")))
        good(program("run"))
        assert verdicts(rspamd)[:1] == [("spam", "one")]


# ---- A3 and A4: what rspamd reads is in the digest; rspamd decides what is learnable ----

HEAD = b"From: a@example.com\r\nSubject: offer\r\nMIME-Version: 1.0\r\n"
LETTER = b"A letter of words that are long enough, one after the other, to be learned by a filter."
PAYLOAD = b"A payload that nobody has seen before: pills, casinos and lotteries, to be learned."


def encoded(text: bytes) -> bytes:
    return base64.encodebytes(text).replace(b"\n", b"\r\n")


def in_base64(more: bytes) -> bytes:
    """rspamd reads on behind the first padding."""
    return (HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + encoded(LETTER[:85]) + (encoded(more) if more else b""))


def in_epilogue(more: bytes) -> bytes:
    return (HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
            b"Content-Type: text/plain\r\n\r\n" + LETTER + b"\r\n--b--\r\n" + more + b"\r\n")


def in_charset(name: str) -> bytes:
    return (HEAD + f"Content-Type: text/plain; charset={name}\r\n\r\n".encode()
            + LETTER + b"\r\n+AHAAaQBsAGwAcw- +AGMAYQBzAGkAbgBv-\r\n")


VARIANTS = {
    "base64 behind its padding": (in_base64(b""), in_base64(PAYLOAD)),
    "an epilogue": (in_epilogue(b""), in_epilogue(PAYLOAD)),
    "us-ascii and utf-16": (in_charset("us-ascii"), in_charset("utf-16")),
    "utf-8 and utf-7": (in_charset("utf-8"), in_charset("utf-7")),
}


@pytest.mark.parametrize("what", VARIANTS)
def test_different_contents_have_different_digests(program: Program, rspamd: FakeController,
                                                   what: str) -> None:
    """A3: two messages that rspamd reads differently are both sent."""
    with FakeImap(VARIANTS[what]) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        assert len(rspamd.learns) == 2


def parts(n: int) -> bytes:
    return (HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\n\r\n" * n
            + b"--b\r\nContent-Type: text/plain\r\n\r\n" + LETTER + b"\r\n--b--\r\n")


def levels(n: int) -> bytes:
    opening = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i)
                       for i in range(n))
    return HEAD + opening + b"Content-Type: text/plain\r\n\r\n" + LETTER + b"\r\n"


@pytest.mark.parametrize("raw", [parts(2001), parts(9000), levels(65), levels(900)],
                         ids=["2001 parts", "9000 parts", "65 levels", "900 levels"])
def test_rspamd_decides_what_can_be_learned(program: Program, rspamd: FakeController,
                                            raw: bytes) -> None:
    """A4: no message is too complicated to be sent."""
    with FakeImap([raw]) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        assert [request.body for request in rspamd.learns] == [imap.messages[1].raw]
        assert imap.flags() == {1: MARKED}


# ---- A5: numbers that were given again ----

def test_a_stranger_where_a_message_was_settled(program: Program, rspamd: FakeController) -> None:
    """A5: cut between settling and marking; the store is restored, and another message has the
    number. It is learned before it is marked and deleted."""
    with FakeImap([mail("one"), mail("two")], {"UID STORE": lambda _: then_cut()},
                  capabilities=PLAIN) as imap:
        configure(program, imap, rspamd, top=LEARNED_GO)
        program("learn")
        assert len(rspamd.learns) == 2
        imap.lies.clear()
        imap.messages[2] = Message(mail("a-stranger"))
        good(program("run"))
        good(program("run"))
        assert verdicts(rspamd)[2:] == [("spam", "a-stranger")]
        assert imap.messages == {}


@pytest.mark.parametrize("capabilities", [CAPABILITIES, PLAIN])
def test_a_restored_store_after_max(program: Program, rspamd: FakeController,
                                    capabilities: str) -> None:
    """A5: a run with --max leaves; the store is put back, and what comes gets old numbers."""
    with FakeImap(map(mail, ("one", "two", "three", "four")), capabilities=capabilities) as imap:
        configure(program, imap, rspamd)
        good(program("learn", "--max", "3"))
        imap.messages = {1: Message(mail("five")), 2: Message(mail("six"))}
        imap.uidnext, imap.modseq = 3, 3
        good(program("learn"))
        assert sorted(verdicts(rspamd)[3:]) == [("spam", "five"), ("spam", "six")]
        assert all(flags == MARKED for flags in imap.flags().values())


def test_a_stranger_where_a_message_failed(program: Program, rspamd: FakeController) -> None:
    """A5: rspamd refused number 1; another message has it now, and is not deleted for that."""
    with FakeImap([mail("one", "bad"), mail("two")], capabilities=PLAIN) as imap:
        configure(program, imap, rspamd, top=FAILED_GO)
        assert program("learn").rc == 1
        imap.messages[1] = Message(mail("a-stranger"))
        time.sleep(1.1)
        good(program("expire"))
        assert 1 in imap.messages
        good(program("learn"))
        assert ("spam", "a-stranger") in verdicts(rspamd)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_store_that_grew_to_where_it_was(program: Program, rspamd: FakeController,
                                           kept: int) -> None:
    """A5's brother: restored, and as many came as were lost, so that UIDNEXT is what it was; the
    server has no HIGHESTMODSEQ. What came is learned."""
    old, new = [f"old{n}" for n in range(4)], [f"the-new{n}" for n in range(4 - kept)]
    with FakeImap(map(mail, old), capabilities=PLAIN) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        for uid, word in enumerate(new, kept + 1):
            imap.messages[uid] = Message(mail(word))
        good(program("learn"))
        assert sorted(verdicts(rspamd)[4:]) == [("spam", word) for word in new]


# ---- A6: a mark decides nothing where the ledger knows better ----

def test_a_mark_does_not_beat_the_newest_verdict(program: Program, rspamd: FakeController) -> None:
    """A6: learned in Alice's Junk, reported as ham, moved back to Junk with its mark: it is spam
    again."""
    with FakeImap([mail("one")]) as junk, FakeImap() as ham:
        configure_all(program, {ALICE: (junk, BOX["junk"]), HAM: (ham, BOX["ham"])}, rspamd)
        good(program("learn"))
        junk.messages.clear()
        ham.add(Message(mail("one"), date=time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime())))
        good(program("learn"))
        time.sleep(1.1)
        junk.add(Message(mail("one"), {"$LearnedSpam"}))
        good(program("learn"))
        assert [kind for kind, _ in verdicts(rspamd)] == ["spam", "ham", "spam"]


@pytest.mark.parametrize("more", ["", "deliver-to = reporter"])
def test_a_keyword_of_somebody_else_teaches_nobody(program: Program, rspamd: FakeController,
                                                   more: str) -> None:
    """A6: a message that comes with our keyword, from a user or another mailbox, is learned; with
    deliver-to = reporter by each one's own classifier."""
    with FakeImap([mail("one")]) as alice, FakeImap([mail("three")]) as bob:
        configure_all(program, {ALICE: (alice, BOX["junk"]), BOB: (bob, BOX["junk"])}, rspamd,
                      rspamd_lines=more)
        good(program("learn"))
        bob.add(Message(mail("two"), {"$LearnedSpam"}))
        good(program("learn"))
        assert sorted(verdicts(rspamd)) == [("spam", word) for word in ("one", "three", "two")]


def test_a_mark_in_a_mailbox_that_is_new_to_the_ledger(program: Program,
                                                       rspamd: FakeController) -> None:
    """A6: a ledger that is intact believes no mark, not even in a mailbox that it never saw; one
    that was lost believes all of them."""
    marked = Message(mail("two"), {"$LearnedSpam"})
    with FakeImap([mail("one")]) as alice, FakeImap([marked]) as bob:
        configure_all(program, {ALICE: (alice, BOX["junk"])}, rspamd)
        good(program("learn"))
        configure_all(program, {ALICE: (alice, BOX["junk"]), BOB: (bob, BOX["junk"])}, rspamd)
        good(program("learn"))
        assert verdicts(rspamd) == [("spam", "one"), ("spam", "two")]
        shutil.rmtree(program.ledger)
        assert "known 2 " in good(program("learn")).out and len(rspamd.learns) == 2


def test_each_reporters_classifier_is_trained_in_the_first_run(program: Program,
                                                               rspamd: FakeController) -> None:
    """A6: with deliver-to = reporter a mark of another mailbox's says nothing of Bob's."""
    marked = Message(mail("one"), {"$LearnedSpam"})
    with FakeImap([mail("one")]) as alice, FakeImap([marked]) as bob:
        configure_all(program, {ALICE: (alice, BOX["junk"]), BOB: (bob, BOX["junk"])}, rspamd,
                      rspamd_lines="deliver-to = reporter")
        good(program("learn"))
        assert {request.headers["deliver-to"] for request in rspamd.learns} == {ALICE, BOB}


# ---- A7: one person is one reporter ----

def test_an_owner_and_their_report_are_one(program: Program, rspamd: FakeController) -> None:
    """A7: Alice@ owns the account, alice@ reported by Sieve."""
    with FakeImap([mail("one")]) as junk, FakeImap([of(ALICE, mail("one"))]) as spam:
        configure_all(program, {"Alice@Example.org*master": (junk, BOX["junk"]),
                                SPAM: (spam, BOX["spam"])}, rspamd, top=QUORUM.format("9d"))
        good(program("learn"))
        assert rspamd.learns == []
        spam.add(of("Bob@example.org", mail("one")))
        good(program("learn"))
        assert verdicts(rspamd)[:1] == [("spam", "one")]


@pytest.mark.parametrize("line", [f'reporter = "{ALICE}"', 'user = "Alice@example.org*admin"'])
def test_the_name_of_an_account_need_not_be_its_user(program: Program, rspamd: FakeController,
                                                     line: str) -> None:
    """A7: reporter says whose account it is, and so does the login."""
    with FakeImap([mail("one")]) as junk, FakeImap([of(ALICE, mail("one"))]) as spam:
        configure_all(program, {"box of alice": (junk, f"{line}  {BOX['junk']}"),
                                SPAM: (spam, BOX["spam"])}, rspamd, top=QUORUM.format("9d"))
        good(program("learn"))
        assert rspamd.learns == []


def test_an_extension_is_no_other_person(program: Program, rspamd: FakeController) -> None:
    """A7: mallory+1 and mallory+2 are mallory."""
    reports = [of(f"Mallory{tag}@Example.ORG", mail("one")) for tag in ("", "+1", "+2")]
    with FakeImap(reports) as imap:
        configure(program, imap, rspamd, top=QUORUM.format("9d"))
        good(program("learn"))
        assert rspamd.learns == []


# ---- A8: nothing is copied twice ----

@pytest.mark.parametrize("command", ["UID EXPUNGE", "UID STORE"])
def test_a_refused_expunge_copies_once(program: Program, rspamd: FakeController,
                                       command: str) -> None:
    """A8: without MOVE, a server that copies and then refuses (say, for its ACL): one copy."""
    with FakeImap([mail("one")], capabilities=PLAIN.replace(" MOVE", "")) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        configure(program, imap, rspamd,
                  top='retention { learned = 0s  action = move "Archive" }\n')
        imap.lies[command] = refuse
        for _ in range(3):
            program("expire")
        assert len(imap.archive) == 1
        imap.lies.clear()
        good(program("expire"))
        assert imap.messages == {} and len(imap.archive) == 1


# ---- A9: one message stops nobody else ----

def longer(honest: bytes) -> bytes:
    """The literal of message 2 is said to be longer than it is."""
    return re.sub(rb"(UID 2 BODY\[\] )\{(\d+)\}", lambda m: m[1] + b"{%d}" % (int(m[2]) + 4),
                  honest)


def test_one_message_does_not_stop_an_account(program: Program, rspamd: FakeController) -> None:
    """A9: what breaks the session at every try is kept aside, also in the next run; all others are
    learned, and marked."""
    words = [f"w{n}" for n in range(1, 7)]
    with FakeImap(map(mail, words), {"BODY": longer}) as imap:
        configure(program, imap, rspamd)
        for _ in range(2):
            assert program("learn").rc in (1, 69, 75)
        assert {uid for uid, flags in imap.flags().items() if flags == MARKED} == {1, 3, 4, 5, 6}
        imap.add(mail("w7"))
        assert program("learn").rc in (1, 69, 75)
        assert imap.flags()[7] == MARKED and len(rspamd.learns) == 6
        imap.lies.clear()
        good(program("learn"))
        assert ("spam", "w2") in verdicts(rspamd) and len(rspamd.learns) == 7


# ---- A10: the later verdict wins, whatever run saw it ----

def test_the_later_report_wins_across_runs(program: Program, rspamd: FakeController) -> None:
    """A10: spam@ could not be reached; its old report does not overrule the newer one."""
    with FakeImap([dated(mail("one"), JAN)], {"GREETING": lambda _: then_cut()}) as spam, \
            FakeImap([dated(mail("one"), FEB)]) as ham:
        configure_all(program, {SPAM: (spam, BOX["spam"]), HAM: (ham, BOX["ham"])}, rspamd)
        assert program("learn").rc != 0
        spam.lies.clear()
        assert "1 overruled" in good(program("learn")).out
        assert verdicts(rspamd) == [("ham", "one")]
        spam.add(dated(mail("one"), MAR))
        good(program("learn"))
        assert verdicts(rspamd) == [("ham", "one"), ("spam", "one")]


@pytest.mark.parametrize("how", ["the connection breaks", "it is not given"])
def test_a_message_that_was_not_given_keeps_its_time(program: Program, rspamd: FakeController,
                                                     how: str) -> None:
    """A10's brother: spam@'s report could not be had when we first knew of it. Its time is still
    that of its arrival, not of the outage."""
    lie = only_the_end if how == "it is not given" else (lambda _: then_cut())
    with FakeImap([dated(mail("one"), JAN)], {"BODY": lie}) as spam, \
            FakeImap([dated(mail("one"), FEB)]) as ham:
        configure_all(program, {SPAM: (spam, BOX["spam"]), HAM: (ham, BOX["ham"])}, rspamd)
        program("learn")
        spam.lies.clear()
        good(program("learn"))
        assert verdicts(rspamd) == [("ham", "one")]


def test_what_the_ledger_forgot_is_no_new_verdict(program: Program, rspamd: FakeController) -> None:
    """A10's brother: a message lies in Alice's Junk for years, its record is forgotten; the content
    was reported as ham meanwhile. That she left it there is no newer verdict."""
    with FakeImap([mail("one"), mail("two")]) as junk, FakeImap() as ham:
        configure_all(program, {ALICE: (junk, BOX["junk"]), HAM: (ham, BOX["ham"])}, rspamd)
        good(program("learn"))
        with LedgerFile(program.ledger, "uid") as ledger:
            ledger.put({key: older(value, "uid", 500 * DAY)
                        for key, value in ledger.records().items()})
        ham.add(Message(mail("one"), date=time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime())))
        good(program("run"))
        for _ in range(2):
            good(program("run"))
        assert verdicts(rspamd)[2:] == [("ham", "one")]


def test_a_clock_that_was_ahead_does_not_rule_for_ever(program: Program,
                                                       rspamd: FakeController) -> None:
    """A10's brother: verdicts that were given on a day that is still to come, by a clock that was
    wrong, do not beat those of today."""
    with FakeImap([mail("one")]) as junk, FakeImap() as ham:
        configure_all(program, {ALICE: (junk, BOX["junk"]), HAM: (ham, BOX["ham"])}, rspamd)
        good(program("learn"))
        with LedgerFile(program.ledger, "digest") as ledger:
            ledger.put({key: later(value) for key, value in ledger.records().items()})
        ham.add(Message(mail("one"), date=time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime())))
        good(program("learn"))
        assert [kind for kind, _ in verdicts(rspamd)] == ["spam", "ham"]


def later(value: bytes) -> bytes:
    """The content record with its verdict a year from now."""
    when = int(time.time()) + 365 * DAY
    at = TIMES["digest"][2]
    return value[:at] + when.to_bytes(8, "big") + value[at + 8:]


# ---- A11: hold ----

def test_hold_never_is_refused(program: Program, rspamd: FakeController) -> None:
    """A11: nobody means that nothing is ever learned; it would be learned at once before."""
    with FakeImap([mail("one")]) as imap:
        configure(program, imap, rspamd, top="reports { hold = never }\n")
        done = program("learn")
        assert done.rc == 78 and "hold" in done.err and "never, or" not in done.err, done
        assert imap.connections == 0 and rspamd.requests == []


def test_hold_ends_for_what_comes_from_the_future(program: Program, rspamd: FakeController) -> None:
    """A11: an INTERNALDATE of 2099 holds for as long as any other."""
    with FakeImap([dated(mail("one"), "01-Feb-2099 10:11:12 +0000")]) as imap:
        configure(program, imap, rspamd, top="reports { hold = 1s }\n")
        assert "1 held" in good(program("learn")).out and rspamd.learns == []
        time.sleep(1.1)
        good(program("learn"))
        assert verdicts(rspamd) == [("spam", "one")]


def test_hold_holds_what_has_no_date(program: Program, rspamd: FakeController) -> None:
    """A11's brother: where the server gives no date, our first sight of it counts."""
    undated = {"METADATA": lambda honest: re.sub(rb' INTERNALDATE "[^"]*"', b"", honest)}
    with FakeImap([mail("one")], undated) as imap:
        configure(program, imap, rspamd, top="reports { hold = 1s }\n")
        assert "1 held" in good(program("learn")).out and rspamd.learns == []
        time.sleep(1.1)
        good(program("learn"))
        assert verdicts(rspamd) == [("spam", "one")]


# ---- what a server forgets for a moment ----

def test_a_message_that_is_not_given_once_is_not_forgotten(program: Program,
                                                           rspamd: FakeController) -> None:
    """A1's brother: message 2 failed before, and the server leaves it out once. The ledger has
    records of mail that is gone, so that counting tells nothing."""
    with FakeImap([mail("one"), mail("two", "bad"), mail("three")]) as imap:
        configure(program, imap, rspamd)
        assert program("learn").rc == 1
        del imap.messages[1]
        imap.lies["METADATA"] = lambda honest: re.sub(rb"\* \d FETCH \(UID 2 .*\r\n", b"", honest)
        program("learn")
        imap.lies.clear()
        rspamd.answer = lambda _: LEARNED
        good(program("learn"))
        assert imap.flags()[2] == MARKED


def test_what_is_missing_twice_is_asked_after(program: Program, rspamd: FakeController) -> None:
    """A1's brother: left out in every run, and still listed: it is never forgotten, and the exit
    status says so; once it is gone, so is what is known of it."""
    with FakeImap([mail("one"), mail("two")]) as imap:
        configure(program, imap, rspamd)
        imap.lies["METADATA"] = lambda honest: re.sub(rb"\* \d FETCH \(UID 1 .*\r\n", b"", honest)
        good(program("learn"))
        for _ in range(2):
            done = program("learn")
            assert done.rc == 1 and "1 not given by the mail server" in done.out, done
        imap.lies.clear()
        del imap.messages[1]
        assert "nothing new" in good(program("learn")).out
        assert "nothing new" in good(program("learn")).out
        assert verdicts(rspamd) == [("spam", "two")]


def test_what_a_backup_brings_back_is_no_new_verdict(program: Program,
                                                     rspamd: FakeController) -> None:
    """A10's brother: Alice's mailbox is restored, and with it a message that was reported as ham
    since: that it is there again is no verdict of today."""
    with FakeImap([dated(mail(word), JAN) for word in ("one", "two", "three")],
                  capabilities=PLAIN) as junk, FakeImap() as ham:
        configure_all(program, {ALICE: (junk, BOX["junk"]), HAM: (ham, BOX["ham"])}, rspamd)
        good(program("learn"))
        ham.add(dated(mail("one"), FEB))
        good(program("learn"))
        assert verdicts(rspamd)[-1] == ("ham", "one")
        junk.messages = {1: dated(mail("two"), JAN), 2: dated(mail("fourth-word"), JAN),
                         3: dated(mail("one"), JAN), 4: dated(mail("five"), JAN)}
        junk.uidnext = 5
        good(program("learn"))
        good(program("learn"))
        assert sorted(verdicts(rspamd)[4:]) == [("spam", "five"), ("spam", "fourth-word")]
