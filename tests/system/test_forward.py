"""Accounts that users forward to: what is attached is learned, and not the letter around it."""

from __future__ import annotations

import threading
import time
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import HTTP

import pytest

import corpus
from fakes import LEARNED, FakeController, Reply, Request, configure, http
from program import Program, Result, Rig
from servers import Stack, crlf
from test_files import counts

SPAM, HAM = "spam@example.org", "ham@example.org"
MAILS = [crlf(raw) for raw in corpus.short(corpus.spam(), 6)]
UNWRAP = "unwrap = yes"


def forward(*attached: bytes, how: str = "message", sender: str = "alice@example.org") -> bytes:
    """As Thunderbird, Outlook and others do it."""
    letter = MIMEMultipart("digest" if how == "digest" else "mixed")
    letter["From"], letter["To"], letter["Subject"] = sender, SPAM, "Fwd: is this spam?"
    letter["Return-Path"] = f"<{sender}>"
    if how != "digest":
        letter.attach(MIMEText("I got this:\n"))
    if how != "eml":
        return rendered(letter, attached)
    for raw in attached:
        letter.attach(MIMEApplication(raw, "octet-stream", name="mail.eml"))
    return letter.as_bytes(policy=HTTP)


def rendered(letter: MIMEMultipart, attached: tuple[bytes, ...]) -> bytes:
    """Without a change to what is attached."""
    boundary = b"=_limit"
    kind = letter.get_content_subtype().encode()
    head = b"".join(b"%s: %s\r\n" % (name.encode(), value.encode())
                    for name, value in letter.items()
                    if name not in ("Content-Type", "MIME-Version"))
    text = head + b"MIME-Version: 1.0\r\n"
    text += b"Content-Type: multipart/%s; boundary=\"%s\"\r\n\r\n" % (kind, boundary)
    if kind != b"digest":
        text += b"--" + boundary + b"\r\nContent-Type: text/plain\r\n\r\nI got this:\r\n"
    for raw in attached:
        text += b"--" + boundary + b"\r\nContent-Type: message/rfc822\r\n\r\n" + raw + b"\r\n"
    return text + b"--" + boundary + b"--\r\n"


def run(stack: Stack, program: Program, rspamd: FakeController, account: str = UNWRAP,
        top: str = "", *options: str) -> Result:
    program.configure(Rig(rspamd, stack.dovecot, stack.authority),
                      {SPAM: 'mailbox "INBOX" { class = spam }'}, account=account, top=top)
    return program("learn", *options)


@pytest.mark.parametrize("how", ["message", "eml", "digest"])
def test_what_is_attached_is_learned(stack: Stack, program: Program, how: str) -> None:
    """By a real rspamd: once, the same content as the mail itself, and the letter is marked."""
    stack.dovecot.append_many(SPAM, "INBOX", [forward(MAILS[0], how=how),
                                              forward(MAILS[1], MAILS[2], how=how)])
    program.configure(stack, {SPAM: 'mailbox "INBOX" { class = spam }'}, account=UNWRAP)
    dry = program("learn", "--dry-run")
    assert dry.rc == 0 and dry.out.count("\nlearn ") + dry.out.startswith("learn ") == 3
    assert "part=1" in dry.out and "part=2" in dry.out and stack.rspamd.learns() == (0, 0)
    done = program("learn")
    assert (done.rc, done.err) == (0, "") and "learned 3 (spam 3, ham 0)" in done.out
    assert stack.rspamd.learns() == (3, 0)
    assert all("$LearnedSpam" in flags for flags in stack.dovecot.flags(SPAM).values())
    stack.dovecot.append_many(SPAM, "INBOX", [forward(MAILS[2])])
    again = program("learn")
    assert "known 1" in again.out and stack.rspamd.learns() == (3, 0)
    program.configure(stack, {HAM: 'mailbox "INBOX" { class = spam }'})
    stack.dovecot.append_many(HAM, "INBOX", MAILS[:3])
    assert "known 3" in program("learn").out and stack.rspamd.learns() == (3, 0)


def test_what_cannot_be_learned(stack: Stack, program: Program, rspamd: FakeController) -> None:
    """An inline forward, a bounce: never sent, said why, marked as skipped."""
    stack.dovecot.append_many(SPAM, "INBOX", [
        crlf(b"From: alice@example.org\nSubject: Fwd: a\n\n> buy a\n"),
        crlf(b"From: mailer@example.org\nSubject: Undelivered\n"
             b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
             b"--b\n\nsorry\n--b\nContent-Type: message/rfc822\n\n") + MAILS[0] + b"\r\n--b--\r\n"])
    done = run(stack, program, rspamd, UNWRAP, "", "--json")
    events = [event for event in done.events if event["event"] == "message"]
    assert done.rc == 0 and not rspamd.learns
    assert {event["outcome"] for event in events} == {"not-a-report"}
    assert "inline forward" in events[0]["reason"] and "delivery report" in events[1]["reason"]
    assert all("$LearnSkipped" in flags for flags in stack.dovecot.flags(SPAM).values())


def refuse(subjects: set[bytes]) -> object:
    def answer(request: Request) -> Reply:
        bad = any(b"Subject: " + subject in request.body for subject in subjects)
        return http(400, "Bad", b'{"error":"bad"}') if bad else LEARNED
    return answer


def test_settled_when_all_are(stack: Stack, program: Program, rspamd: FakeController) -> None:
    """One that fails: the letter stays for the next run, which sends that one alone."""
    mails = [crlf(b"Subject: %s\n\nbuy\n" % name) for name in (b"one", b"two", b"three")]
    stack.dovecot.append_many(SPAM, "INBOX", [forward(*mails)])
    rspamd.answer = refuse({b"two"})
    done = run(stack, program, rspamd)
    assert done.rc == 1 and len(rspamd.learns) == 3 and "2 learned" in done.out
    assert not any("$" in flag for flags in stack.dovecot.flags(SPAM).values() for flag in flags)
    rspamd.answer = refuse(set())
    rspamd.requests.clear()
    done = run(stack, program, rspamd)
    assert done.rc == 0 and [b"two" in request.body for request in rspamd.learns] == [True]
    assert all("$LearnedSpam" in flags for flags in stack.dovecot.flags(SPAM).values())


def test_who_forwards_is_the_reporter(stack: Stack, program: Program,
                                      rspamd: FakeController) -> None:
    """Senders are believed; and with a quorum each of several messages needs its own."""
    one, two = (crlf(b"Subject: %s\n\nbuy\n" % name) for name in (b"one", b"two"))
    reports = 'reports { senders = "@example.org"  quorum = 2 }\n'
    stack.dovecot.append_many(SPAM, "INBOX", [forward(one, two, sender="alice@example.org"),
                                              forward(one, sender="mallory@example.net")])
    done = run(stack, program, rspamd, UNWRAP, reports)
    assert not rspamd.learns and "1 untrusted" in done.out and "held" in done.out
    stack.dovecot.append_many(SPAM, "INBOX", [forward(two, sender="bob@example.org")])
    done = run(stack, program, rspamd, UNWRAP, reports)
    assert [request.body for request in rspamd.learns] == [two]
    stack.dovecot.append_many(SPAM, "INBOX", [forward(one, sender="carol@example.org")])
    done = run(stack, program, rspamd, UNWRAP, reports)
    assert sorted({request.body for request in rspamd.learns}) == sorted([one, two])
    assert len(rspamd.learns) == 2


@pytest.mark.parametrize("said", ["", "unwrap = no", "unwrap = yes"])
def test_until_unwrap_is_said(stack: Stack, program: Program, rspamd: FakeController,
                              said: str) -> None:
    """Mostly forwards: a warning, once, that names the key."""
    stack.dovecot.append_many(SPAM, "INBOX", [forward(mail) for mail in MAILS[:3]] + MAILS[3:5])
    done = run(stack, program, rspamd, said)
    assert ("unwrap = yes" in done.err) == (said == "") and done.err.count("\n") == (said == "")
    again = run(stack, program, rspamd, said)
    assert again.err == ""
    assert ("unwrap = yes" in program("check").out) == (said == "")


def mail(name: str) -> bytes:
    text = f"From: x@example.net\nSubject: {name}\n\nbuy {name}\n"
    return crlf(text.encode())


def bad(_: Request) -> Reply:
    return http(400, "Bad", b'{"error":"bad"}')


def test_an_answer_to_another_message_in_between(stack: Stack, program: Program,
                                                 rspamd: FakeController) -> None:
    """What failed in a forward is not forgotten because another message's answer comes."""
    b2_came, a_done = threading.Event(), threading.Event()

    def answer(request: Request) -> Reply:
        if b"Subject: a\r" in request.body:
            b2_came.wait(10)
            threading.Timer(0.3, a_done.set).start()
            return LEARNED
        if b"Subject: b2\r" in request.body:
            b2_came.set()
            a_done.wait(10)
        return bad(request) if b"Subject: b1\r" in request.body else LEARNED
    rspamd.answer = answer
    stack.dovecot.append_many(SPAM, "INBOX", [forward(mail("a")),
                                              forward(mail("b1"), mail("b2"), mail("b3"))])
    done = run(stack, program, rspamd)
    assert done.rc == 1
    rspamd.answer = lambda request: LEARNED
    rspamd.requests.clear()
    done = run(stack, program, rspamd)
    assert [b"Subject: b1" in r.body for r in rspamd.learns] == [True], done


def test_reason_of_a_part_that_failed(stack: Stack, program: Program,
                                      rspamd: FakeController) -> None:
    rspamd.answer = refuse({b"one"})
    stack.dovecot.append_many(SPAM, "INBOX", [forward(mail("one"), mail("two"))])
    run(stack, program, rspamd)
    assert "reason=bad" in program("ledger", "messages").out, program("ledger", "messages").out


def test_unanswered_never_expires(stack: Stack, program: Program,
                                  rspamd: FakeController) -> None:
    """One part refused, one not answered: the letter stays whatever the policy says of failed."""
    def answer(request: Request) -> Reply:
        if b"Subject: one" in request.body:
            return http(200, "OK", b"<html>")
        return bad(request)
    rspamd.answer = answer
    stack.dovecot.append_many(SPAM, "INBOX", [forward(mail("one"), mail("two"))])
    run(stack, program, rspamd, UNWRAP, "retention { failed = 0s }\n")
    time.sleep(1.1)
    done = program("expire")
    assert len(stack.dovecot.messages(SPAM)) == 1, done


def test_held_part_never_expires(stack: Stack, program: Program,
                                 rspamd: FakeController) -> None:
    """quorum 2: one part confirmed and refused by rspamd, the other one waits."""
    reports = 'reports { senders = "@example.org"  quorum = 2 }\nretention { failed = 0s }\n'
    rspamd.answer = refuse({b"one"})
    stack.dovecot.append_many(SPAM, "INBOX", [
        forward(mail("one"), mail("two"), sender="alice@example.org"),
        forward(mail("one"), mail("three"), sender="bob@example.org")])
    run(stack, program, rspamd, UNWRAP, reports)
    time.sleep(1.1)
    done = program("expire")
    assert len(stack.dovecot.messages(SPAM)) == 2, done


def test_verify_says_nothing_was_forgotten(stack: Stack, program: Program,
                                           rspamd: FakeController) -> None:
    stack.dovecot.append_many(SPAM, "INBOX", [forward(mail("one"), mail("two"))])
    run(stack, program, rspamd)
    assert "; 0 learned messages whose content was forgotten" in program("ledger", "verify").out


def test_unconfirmed_parts(stack: Stack, program: Program, rspamd: FakeController) -> None:
    """quorum-within holds for forwards with several messages as for those with one."""
    reports = 'reports { senders = "@example.org"  quorum = 2  quorum-within = 1s }\n'
    stack.dovecot.append_many(SPAM, "INBOX", [
        forward(mail("one")), forward(mail("two"), mail("three"))])
    run(stack, program, rspamd, UNWRAP, reports)
    time.sleep(2.1)
    done = program("learn", "--json")
    outcomes = [e["outcome"] for e in done.events if e["event"] == "message"]
    assert set(outcomes) == {"unconfirmed"}, done.out


def test_quorum_counts(stack: Stack, program: Program, rspamd: FakeController) -> None:
    """An encrypted part is counted once though there are two passes."""
    secret = crlf(b"Subject: secret\nContent-Type: multipart/encrypted; boundary=x\n\n"
                  b"--x\n\na\n--x--\n")
    reports = 'encrypted = skip\nreports { senders = "@example.org"  quorum = 2 }\n'
    stack.dovecot.append_many(SPAM, "INBOX", [forward(secret, mail("two"))])
    done = run(stack, program, rspamd, UNWRAP, reports, "--json")
    summary = done.event("summary")
    assert summary["outcomes"]["encrypted"] == 1, done.out


def test_warning_once_with_quorum(stack: Stack, program: Program, rspamd: FakeController) -> None:
    reports = 'reports { senders = "@example.org"  quorum = 2 }\n'
    stack.dovecot.append_many(SPAM, "INBOX", [
        forward(m, sender=f"{who}@example.org") for who in ("a", "b") for m in [mail('one')] * 4])
    done = run(stack, program, rspamd, "", reports)
    assert done.err.count("unwrap = yes") == 1, done


def test_the_balance_counts_what_is_attached(stack: Stack, program: Program) -> None:
    """Held back in the middle of a forward, which is begun again when there is room."""
    top = 'balance = "2:1"\n'
    names = [f"{letter}-{n}" for letter in range(5) for n in range(10)]
    stack.dovecot.append_many(SPAM, "INBOX", [
        forward(*(mail(name) for name in names[at:at + 10])) for at in range(0, 50, 10)])
    with FakeController(stat=counts(395, 200)) as rspamd:
        done = run(stack, program, rspamd, UNWRAP, top)
        assert len(rspamd.learns) == 5 and "5 left for the next run (held back" in done.out
        assert "5 learned" in run(stack, program, rspamd, UNWRAP, top).out
        rspamd.stat = counts(405, 300)
        done = run(stack, program, rspamd, UNWRAP, top)
        assert sorted(r.body for r in rspamd.learns) == sorted(mail(name) for name in names)
        assert all("$LearnedSpam" in flags for flags in stack.dovecot.flags(SPAM).values())
