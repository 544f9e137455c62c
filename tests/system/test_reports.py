"""Only real reports count, by whom they are, and when: token, path and senders, quorum and hold."""

from __future__ import annotations

import imaplib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import postfix
from fakes import LEARNED, FakeController, FakeImap, Message, Request, configure
from ledgerfile import backdate
from postfix import Postfix
from program import INBOXES, Program, Result, secret_file
from servers import HOST, Stack, temporary_folder

SPAM, HAM = "spam@example.org", "ham@example.org"
ALICE, BOB, CAROL, DAVE = (f"{name}@example.org" for name in ("alice", "bob", "carol", "dave"))
TOKEN = "0123456789abcdef0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210fedcba9876543210"
OUTSIDE = "127.0.0.2"  # is not loopback for learnspool: 127.0.0.1 and ::1 are
MARKS = {"$LearnedSpam", "$LearnedHam", "$LearnSkipped"}
NO_PROOF, MALFORMED, OTHER_CLASS, WRONG_TOKEN, TWICE, HOST_NOT_OURS, SENDER = (
    "bears no X-Learnspool-Report", "is malformed", "says the other class", "token is not ours",
    "delivered twice", "a host that is not ours", "envelope sender is not allowed")


def mail(n: int) -> bytes:
    """A message of its own words, enough of them for rspamd to learn."""
    words = " ".join(f"word{n}and{i}" for i in range(40))
    return (f"From: Somebody <somebody@evil.example>\r\nTo: alice@example.org\r\n"
            f"Subject: offer {n}\r\nMessage-ID: <offer-{n}@evil.example>\r\n"
            f"Date: Mon, 01 Jan 2024 00:00:00 +0000\r\n\r\n{words}\r\n").encode()


def says(kind: str, user: str = ALICE, token: str = TOKEN) -> bytes:
    """The field that proves a report."""
    return f"X-Learnspool-Report: v1; class={kind}; user={user};\r\n\ttoken={token}\r\n".encode()


PICKUP = (b"Received: by mx.example.org (Postfix, from userid 65534)\r\n\tid 5996F98A144; "
          b"Sun, 22 Nov 2026 12:12:12 +0000 (UTC)\r\n")
SIEVE = (b"X-Sieve: Pigeonhole Sieve 0.5.19 (4eae2f79)\r\n"
         b"X-Sieve-Redirected-From: reports@learnspool.invalid\r\n")


def lmtp(user: str, to: str = HAM) -> bytes:
    """What Dovecot's LMTP puts on top."""
    return (f"Return-Path: <{user}>\r\nDelivered-To: {to}\r\n"
            f"Received: from mx.example.org ([127.0.0.1])\r\n\tby mail.example.org with LMTP\r\n"
            f"\tid aB3cDeFgHiJ\r\n\t(envelope-from <{user}>)\r\n"
            f"\tfor <{to}>; Sun, 22 Nov 2026 12:12:12 +0000\r\n").encode()


def report(kind: str, n: int, user: str = ALICE, token: str = TOKEN) -> bytes:
    """A report as it lies in a collection account."""
    return lmtp(user) + PICKUP + SIEVE + says(kind, user, token) + mail(n)


def token_file(program: Program, token: str = TOKEN) -> Path:
    return secret_file(program.folder / "token", token + "\n")


def proving(program: Program, more: str = "") -> str:
    """The reports block with a token."""
    return f'reports {{ token-file = "{token_file(program)}" {more} }}\n'


def learn(program: Program, *args: str) -> Result:
    result = program("learn", "--json", *args)
    # Where most of it proves nothing, that is an alarm.
    assert result.rc == ("do not prove" in result.err), result
    return result


def outcomes(result: Result) -> dict[tuple[str, int], str]:
    """(account, UID) -> outcome."""
    found = {(event["account"].partition("@")[0], event["uid"]): event["outcome"]
             for event in result.events if event["event"] == "message"}
    return dict(sorted(found.items()))


def marks(stack: Stack, user: str, mailbox: str = "INBOX") -> list[str]:
    """Our mark on each message; a message never has two."""
    found = [flags & MARKS for flags in stack.dovecot.flags(user, mailbox).values()]
    assert all(len(flags) < 2 for flags in found), found
    return ["".join(flags) for flags in found]


def ledger_bytes(program: Program) -> bytes:
    return b"".join(path.read_bytes() for path in program.ledger.iterdir())


# ---- what is believed ----

UNTRUSTED = {  # what is in ham@ -> the reason why it is not learned
    "an ordinary mail": (mail(1), NO_PROOF),
    "a report without our field": (PICKUP + SIEVE + mail(2), NO_PROOF),
    "our field below what authors write": (b"Subject: x\r\n" + says("ham") + mail(3), NO_PROOF),
    "our field in the body": (mail(4) + says("ham"), NO_PROOF),
    "a wrong token": (PICKUP + SIEVE + says("ham", token=OTHER) + mail(5), WRONG_TOKEN),
    "half a token": (PICKUP + SIEVE + says("ham", token=TOKEN[:24]) + mail(6), WRONG_TOKEN),
    "no token": (b"X-Learnspool-Report: v1; class=ham; user=x\r\n" + mail(7), WRONG_TOKEN),
    "two tokens": (b"X-Learnspool-Report: v1; class=ham; token=" + TOKEN.encode() + b"; token=x\r\n"
                   + mail(8), MALFORMED),
    "a report of spam": (PICKUP + SIEVE + says("spam") + mail(9), OTHER_CLASS),
    "a copy, as it is": (report("ham", 10), TWICE),
    "a copy without its Return-Path and Delivered-To": (
        b"Received: from evil.example (unknown [203.0.113.9])\r\n\tby mx.example.org (Postfix)\r\n"
        + PICKUP + SIEVE + says("ham") + mail(11), HOST_NOT_OURS),
}


def test_what_proves_nothing_is_never_learned(stack: Stack, program: Program) -> None:
    """Everything that a stranger can send to ham@, with one real report among it: refused with its
    reason, marked, counted apart, shown by each command, and removed by its own retention."""
    raws = [raw for raw, _ in UNTRUSTED.values()] + [PICKUP + SIEVE + says("ham") + mail(99)]
    stack.dovecot.lmtp_many(HAM, [(raw, ALICE) for raw in raws])
    last, n = len(raws), len(UNTRUSTED)
    top = proving(program) + "retention { learned = 1h  untrusted = 0s }\n"
    program.configure(stack, top=top)

    dry = program("learn", "--dry-run").out
    assert len(re.findall(rf"^skip    ham  {HAM} .*: untrusted: ", dry, re.MULTILINE)) == n
    assert re.search(r"^would learn 1 \(spam 0, ham 1\).* untrusted 11 ", dry, re.MULTILINE), dry
    assert marks(stack, HAM) == [""] * last

    done = learn(program)
    found = {event["uid"]: (event["outcome"], event["reason"]) for event in done.events
             if event["event"] == "message"}
    for uid, (what, (_, reason)) in enumerate(UNTRUSTED.items(), 1):
        assert found[uid][0] == "untrusted" and reason in found[uid][1], what
    assert found[last] == ("learned", None)
    assert stack.rspamd.learns() == (0, 1)
    assert done.event("summary")["untrusted"] == n and f"{n} of {last} reports" in done.err
    assert marks(stack, HAM) == ["$LearnSkipped"] * n + ["$LearnedHam"]
    assert re.search(rf"^  untrusted +{n}$", program("stats").out, re.MULTILINE)
    assert program("stats", "--json").event("stats")["done"]["untrusted"] == n

    assert f"{n} would expire ({n} untrusted)" in program("expire", "--dry-run").out
    assert program("expire").rc == 0
    assert list(stack.dovecot.messages(HAM)) == [last]
    assert stack.rspamd.learns() == (0, 1)


def test_untrusted_mail_stays_without_its_retention(stack: Stack, program: Program) -> None:
    """Learned and gone is one thing; what was refused waits for an administrator's look."""
    stack.dovecot.append_many(HAM, "INBOX", [report("ham", 1), mail(2)])
    program.configure(stack, top=proving(program) + "retention { learned = 0s }\n")
    done = program("run")
    assert done.rc == 0 and "untrusted 1 " in done.out
    assert list(stack.dovecot.messages(HAM)) == [2]
    assert marks(stack, HAM) == ["$LearnSkipped"]


def test_after_a_change_of_the_token_the_old_one_is_worth_nothing(stack: Stack, program: Program,
                                                                  ) -> None:
    program.configure(stack, top=proving(program))
    stack.dovecot.append(HAM, "INBOX", report("ham", 1))
    assert outcomes(learn(program)) == {("ham", 1): "learned"}
    token_file(program, OTHER)
    stack.dovecot.append_many(HAM, "INBOX", [report("ham", 2), report("ham", 3, token=OTHER)])
    assert outcomes(learn(program)) == {("ham", 2): "untrusted", ("ham", 3): "learned"}
    assert stack.rspamd.learns() == (0, 2)
    assert marks(stack, HAM) == ["$LearnedHam", "$LearnSkipped", "$LearnedHam"]


def test_a_class_that_is_not_the_mailboxs(stack: Stack, program: Program) -> None:
    """A report of spam that somebody moved, or sent, to ham@, and the other way round."""
    program.configure(stack, top=proving(program))
    stack.dovecot.append(HAM, "INBOX", report("spam", 1))
    stack.dovecot.append(SPAM, "INBOX", report("ham", 2))
    assert set(outcomes(learn(program)).values()) == {"untrusted"}
    assert stack.rspamd.learns() == (0, 0)


@pytest.mark.parametrize("line", ["trusted = true", "keep = true"])
def test_trusted_and_own_mailboxes_need_no_proof(stack: Stack, program: Program,
                                                 line: str) -> None:
    stack.dovecot.append_many(HAM, "INBOX", [mail(1)])
    stack.dovecot.append_many(SPAM, "INBOX", [mail(2)])
    accounts = INBOXES | {HAM: f'mailbox "INBOX" {{ class = ham  {line} }}'}
    program.configure(stack, accounts, top=proving(program))
    assert outcomes(learn(program)) == {("ham", 1): "learned", ("spam", 1): "untrusted"}


def test_an_own_mailbox_may_ask_for_proof_all_the_same(stack: Stack, program: Program) -> None:
    stack.dovecot.append(HAM, "INBOX", mail(1))
    mailbox = 'mailbox "INBOX" { class = ham  keep = true  trusted = false }'
    program.configure(stack, INBOXES | {HAM: mailbox}, top=proving(program))
    assert outcomes(learn(program)) == {("ham", 1): "untrusted"}


def test_an_administrator_can_believe_it_all_the_same(stack: Stack, program: Program) -> None:
    """What was untrusted is learned once it lies in a folder that is trusted, mark or no mark
    (docs/dovecot.md, "A new token")."""
    mailboxes = ('mailbox "INBOX" { class = ham }\n'
                 'mailbox "Believed" { class = ham  trusted = true }')
    program.configure(stack, INBOXES | {HAM: mailboxes}, top=proving(program))
    with stack.dovecot.session(HAM) as link:
        stack.dovecot.check(link.create("Believed"))
    stack.dovecot.append(HAM, "INBOX", report("ham", 1, token=OTHER))
    assert outcomes(learn(program)) == {("ham", 1): "untrusted"}
    with stack.dovecot.session(HAM, "INBOX") as link:
        stack.dovecot.check(link.uid("MOVE", "1", "Believed"))
    assert marks(stack, HAM, "Believed") == ["$LearnSkipped"]
    assert outcomes(learn(program)) == {("ham", 1): "learned"}
    assert marks(stack, HAM, "Believed") == ["$LearnedHam"]
    assert stack.rspamd.learns() == (0, 1)


def test_senders_alone(stack: Stack, program: Program) -> None:
    """Without a token: what users of a server without IMAPSieve redirect by hand."""
    senders = (ALICE, "Bob@Example.Net", "mallory@evil.example", "", "alice@sub.example.org")
    stack.dovecot.lmtp_many(HAM, [(mail(n), sender) for n, sender in enumerate(senders)])
    forged = f"Return-Path: <{ALICE}>\r\n".encode()
    stack.dovecot.lmtp(HAM, forged + mail(7), "mallory@evil.example")
    stack.dovecot.lmtp(HAM, forged + says("ham") + mail(8), "mallory@evil.example")
    program.configure(stack, top='reports { senders = "@example.org, bob@example.net" }\n')
    done = learn(program)
    assert list(outcomes(done).values()) == ["learned", "learned"] + 5 * ["untrusted"]
    assert stack.rspamd.learns() == (0, 2)
    assert all(SENDER in event["reason"] for event in done.events
               if event.get("outcome") == "untrusted")


@pytest.mark.parametrize("line, words", [
    ('received = "mx.example.org"', "received: mx.example.org is no address"),
    ('senders = "example.org"', "senders: example.org is neither"),
    ('token-file = "/nonexistent/token"', "/nonexistent/token"),
])
def test_a_block_that_cannot_work_stops_before_any_mail(stack: Stack, program: Program, line: str,
                                                        words: str) -> None:
    stack.dovecot.append(HAM, "INBOX", mail(1))
    program.configure(stack, top=f"reports {{ {line} }}\n")
    done = program("learn")
    assert done.rc == 78 and words in done.err and done.err.count("\n") == 1
    assert marks(stack, HAM) == [""] and stack.rspamd.learns() == (0, 0)


# ---- mail from outside, by Postfix ----

@pytest.fixture(scope="module")
def mta(session_stack: Stack) -> Iterator[Postfix]:
    if postfix.missing():
        pytest.skip(postfix.missing())
    folder = temporary_folder()
    server = Postfix(folder)
    server.lmtp_port = session_stack.dovecot.lmtp_port
    with server:
        yield server
    shutil.rmtree(folder)


def stolen(report_: bytes, n: int) -> dict[str, bytes]:
    """What somebody who got hold of a real report, token and all, can make of it for a message of
    their own, by what they leave of its top."""
    top = report_[:report_.index(b"From: Somebody")]
    fields = re.findall(rb"^\S.*\r\n(?:[ \t].*\r\n)*", top, re.MULTILINE)
    marker = [field for field in fields if field.startswith(b"X-Learnspool-Report")]
    transport = (b"Return-Path", b"Delivered-To", b"Received")
    received = [field for field in fields if not field.startswith(transport[:2])]
    sieve = [field for field in fields if not field.startswith(transport)]
    return {"all of it": top + mail(n), "without envelope": b"".join(received) + mail(n + 1),
            "without transport": b"".join(sieve) + mail(n + 2),
            "the field alone": b"".join(marker) + mail(n + 3)}


def test_a_copy_from_outside_teaches_nothing(stack: Stack, program: Program, mta: Postfix) -> None:
    """By real SMTP through an MTA that refuses nothing. The report that came by sendmail(1) is
    learned, and with the stranger's address among received, so is one of the copies: it is the
    path that gives the others away."""
    program.configure(stack, top=proving(program))
    mta.sendmail(HAM, SIEVE + says("ham") + mail(1), ALICE)
    mta.drain()
    assert outcomes(learn(program)) == {("ham", 1): "learned"}
    real = stack.dovecot.messages(HAM)[1]
    assert real.startswith(f"Return-Path: <{ALICE}>\r\nDelivered-To: {HAM}\r\nRecei".encode())

    copies = list(stolen(real, 10).values())
    for raw in copies:
        mta.smtp(HAM, raw, ALICE, port=mta.open_port, source=OUTSIDE)
    for helo in ("[127.0.0.1]", "by", "localhost"):
        mta.smtp(HAM, copies[-1], ALICE, port=mta.open_port, source=OUTSIDE, helo=helo)
    mta.smtp('"ham+x with LMTP y"@example.org', copies[-1], ALICE, port=mta.open_port,
             source=OUTSIDE, helo="by")
    mta.drain()
    arrived = list(stack.dovecot.messages(HAM).values())[1:]
    assert len(arrived) == 8 and all(b"[127.0.0.2]" in raw for raw in arrived)
    done = learn(program)
    reasons = [event["reason"] for event in done.events if event["event"] == "message"]
    assert TWICE in reasons[0] and all(HOST_NOT_OURS in reason for reason in reasons[1:])
    assert set(outcomes(done).values()) == {"untrusted"} and len(reasons) == 8
    assert stack.rspamd.learns() == (0, 1)

    top = proving(program, f'received = "{HOST}, {OUTSIDE}"')
    program.configure(stack, top=top)
    mta.smtp(HAM, stolen(real, 20)["without transport"], ALICE, port=mta.open_port, source=OUTSIDE)
    mta.drain()
    assert outcomes(learn(program)) == {("ham", 10): "learned"}


# ---- secrets stay secret, and so do people ----

def test_neither_token_nor_reporter_leaves_a_trace(program: Program) -> None:
    """Not in what is printed or logged, in the ledger's files, or in the arguments of the
    process."""
    mails = [report("spam", 1), report("spam", 2, token=OTHER), report("spam", 3, user=BOB)]
    seen = []

    def answer(request: Request) -> bytes:
        seen.append([path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")
                     if b"learnspool" in path.read_bytes()])
        return LEARNED

    with FakeController(answer) as rspamd, FakeImap(mails) as imap:
        command = f'token-command = "cat {token_file(program)}" quorum = 1'
        configure(program, imap, rspamd, top=f"reports {{ {command} }}\n")
        runs = [program("learn", "--dry-run"), program("-v", "-v", "learn"), program("stats"),
                program("check"), program("-v", "ledger", "list"), program("ledger", "messages")]
        runs.append(program("--json", "ledger", "list"))
    assert [run.rc for run in runs] == [0] * 7 and imap.flags()[3] == {"$LearnedSpam"}
    assert len(seen) == 2 and all(seen)
    text = "".join(run.out + run.err for run in runs)
    stored = ledger_bytes(program)
    for secret in (TOKEN, OTHER):
        assert secret not in text and secret.encode() not in stored
        assert all(secret.encode() not in cmdline for found in seen for cmdline in found)
    for who in (ALICE, BOB, "alice", "bob"):
        assert who not in text and who.encode() not in stored
    assert "reporters=1 (1 spam, 0 ham)" in text
    assert (program.ledger / "reporter.key").stat().st_mode & 0o777 == 0o600
    assert not any(TOKEN.encode() in request.body for request in rspamd.requests)


def test_each_reporters_own_classifier(program: Program) -> None:
    """deliver-to = reporter: the same message is learned once for each who reported it."""
    mails = [report("spam", 1), report("spam", 1, user=BOB.upper()), report("spam", 1),
             report("spam", 2), report("spam", 1, user=CAROL, token=OTHER)]
    with FakeController() as rspamd, FakeImap(mails) as imap:
        configure(program, imap, rspamd, rspamd_lines="deliver-to = reporter",
                  top=proving(program))
        done = learn(program)
        assert list(outcomes(done).values()).count("learned") == 3
        found = sorted((request.headers["deliver-to"], request.body) for request in rspamd.learns)
        assert found == [(ALICE, mail(1)), (ALICE, mail(2)), (BOB, mail(1))]
        assert outcomes(learn(program)) == {}
        imap.add(report("spam", 1, user=BOB))
        assert outcomes(learn(program)) == {("spam", 6): "known"}


# ---- quorum ----

def digest_line(program: Program, n: int = 1) -> str:
    """What the ledger says of the only content that was reported."""
    line = program("ledger", "list").out
    shown = program("ledger", "show", line.split()[0][:12]).out
    assert shown.startswith(line)
    return line


def test_a_quorum_of_two(stack: Stack, program: Program) -> None:
    """One reporter, however often, is not enough; the second one is, also for the copies before."""
    program.configure(stack, top=proving(program, "quorum = 2"))
    stack.dovecot.append(SPAM, "INBOX", report("spam", 1))
    dry = program("learn", "--dry-run").out
    assert re.search(r"^hold .*: held: too few reporters agree so far$", dry, re.MULTILINE)
    assert outcomes(learn(program)) == {("spam", 1): "held"}
    stack.dovecot.append_many(SPAM, "INBOX", [report("spam", 1), report("spam", 1, token=OTHER)])
    assert outcomes(learn(program)) == {("spam", 1): "held", ("spam", 2): "held",
                                        ("spam", 3): "untrusted"}
    assert marks(stack, SPAM) == ["", "", "$LearnSkipped"] and stack.rspamd.learns() == (0, 0)
    assert "reporters=1 (1 spam, 0 ham)" in digest_line(program)
    assert program("stats").rc == 0

    stack.dovecot.append(SPAM, "INBOX", report("spam", 1, user=BOB))
    learn(program)
    assert stack.rspamd.learns() == (1, 0)
    learn(program)
    assert stack.rspamd.learns() == (1, 0)
    assert marks(stack, SPAM) == ["$LearnedSpam"] * 2 + ["$LearnSkipped", "$LearnedSpam"]
    assert "reporters=2 (2 spam, 0 ham)" in digest_line(program)


def test_two_reporters_in_one_run(stack: Stack, program: Program) -> None:
    """Learned once, and each copy marked within that run."""
    program.configure(stack, top=proving(program, "quorum = 2"))
    stack.dovecot.append_many(SPAM, "INBOX", [report("spam", 1), report("spam", 1, user=BOB),
                                              report("spam", 2)])
    learn(program)
    assert stack.rspamd.learns() == (1, 0)
    assert marks(stack, SPAM) == ["$LearnedSpam", "$LearnedSpam", ""]


def test_the_majority_of_reporters_decides(stack: Stack, program: Program) -> None:
    """Whoever came last; and on a tie who came last after all."""
    now = time.time()

    def add(kind: str, user: str, ago: int) -> None:
        stack.dovecot.append(f"{kind}@example.org", "INBOX", report(kind, 1, user=user),
                             internaldate=now - ago)

    program.configure(stack, top=proving(program, "quorum = 2"))
    add("spam", ALICE, 500)
    add("ham", BOB, 400)
    learn(program)
    assert stack.rspamd.learns() == (0, 0)
    assert "reporters=2 (1 spam, 1 ham)" in digest_line(program)
    add("ham", CAROL, 450)  # older than Bob's: it is the number that counts
    learn(program)
    assert stack.rspamd.learns() == (0, 1)
    learn(program)
    assert marks(stack, HAM) == ["$LearnedHam"] * 2
    assert marks(stack, SPAM) == ["$LearnSkipped"]  # overruled
    add("spam", DAVE, 100)  # two against two, the newest is spam
    learn(program)
    assert stack.rspamd.learns() == (1, 0)
    assert marks(stack, SPAM) == ["$LearnSkipped", "$LearnedSpam"]
    assert "reporters=4 (2 spam, 2 ham)" in digest_line(program)


@pytest.mark.parametrize("runs", ["one run", "a run each"])
def test_a_reporter_who_changes_their_mind(stack: Stack, program: Program, runs: str) -> None:
    """Their last word counts, and no longer the one before."""
    program.configure(stack, top=proving(program, "quorum = 2"))
    now = time.time()
    for kind, user, ago in (("spam", ALICE, 300), ("ham", ALICE, 200), ("spam", BOB, 100)):
        stack.dovecot.append(f"{kind}@example.org", "INBOX", report(kind, 1, user=user),
                             internaldate=now - ago)
        if runs == "a run each":
            learn(program)
    learn(program)
    assert "reporters=2 (1 spam, 1 ham)" in digest_line(program)
    assert stack.rspamd.learns() == (0, 0)


def test_one_sender_is_one_reporter(program: Program) -> None:
    """Where senders is the only proof, an allowed sender could write any name into the field."""
    mails = [report("spam", 1, user=user).replace(f"<{user}>".encode(), f"<{ALICE}>".encode())
             for user in (ALICE, BOB, CAROL)]
    with FakeController() as rspamd, FakeImap(mails) as imap:
        configure(program, imap, rspamd, top='reports { senders = "@example.org"  quorum = 2 }\n')
        assert set(outcomes(learn(program)).values()) == {"held"}
        assert "reporters=1 (1 spam, 0 ham)" in digest_line(program) and rspamd.learns == []


def test_in_their_own_mailbox_the_owner_reports(program: Program) -> None:
    """Not who sent the spam, whose Return-Path it has; so two copies there are one report."""
    mails = [f"Return-Path: <spammer{n}@evil.example>\r\n".encode() + mail(1) for n in (1, 2)]
    own = 'mailbox "INBOX" { class = spam  keep = true }'
    with FakeController() as rspamd, FakeImap(mails) as imap:
        configure(program, imap, rspamd, mailboxes=own, top=proving(program, "quorum = 2"))
        assert set(outcomes(learn(program)).values()) == {"held"}
        assert "reporters=1 (1 spam, 0 ham)" in digest_line(program)
    (program.ledger / "data.mdb").unlink()
    with FakeController() as rspamd, FakeImap(mails) as imap:
        configure(program, imap, rspamd, mailboxes=own, rspamd_lines="deliver-to = reporter",
                  top=proving(program))
        assert set(outcomes(learn(program)).values()) == {"learned", "known"}
        assert [request.headers["deliver-to"] for request in rspamd.learns] == [SPAM]


def test_max_with_a_quorum(stack: Stack, program: Program) -> None:
    """--max bounds what is taken in, and what was taken in can be learned in that run."""
    program.configure(stack, top=proving(program, "quorum = 2"))
    stack.dovecot.append_many(SPAM, "INBOX", [report("spam", 1), report("spam", 1, user=BOB)])
    learn(program, "--max", "2")
    assert stack.rspamd.learns() == (1, 0)


def test_a_quorum_that_is_not_reached_in_time(stack: Stack, program: Program) -> None:
    top = proving(program, "quorum = 2  quorum-within = 3s") + "retention { skipped = 0s }\n"
    program.configure(stack, top=top)
    stack.dovecot.append(SPAM, "INBOX", report("spam", 1))
    assert outcomes(learn(program)) == {("spam", 1): "held"}
    assert program("expire").rc == 0 and len(stack.dovecot.messages(SPAM)) == 1
    time.sleep(4)
    assert outcomes(learn(program)) == {("spam", 1): "unconfirmed"}
    assert marks(stack, SPAM) == ["$LearnSkipped"] and stack.rspamd.learns() == (0, 0)
    assert program("expire").rc == 0 and stack.dovecot.messages(SPAM) == {}


# ---- hold ----

def test_what_is_too_new_is_held_and_not_fetched(program: Program) -> None:
    """It is not even looked into, and counts once it is old enough."""
    new = imaplib.Time2Internaldate(time.time()).strip('"')
    with FakeController() as rspamd, FakeImap([Message(report("spam", 1)),
                                               Message(report("spam", 2), date=new)]) as imap:
        configure(program, imap, rspamd, top=proving(program, "hold = 12h"))
        assert "hold    spam" in program("learn", "--dry-run").out
        assert outcomes(learn(program)) == {("spam", 1): "learned", ("spam", 2): "held"}
        assert [line for line in imap.commands if "BODY" in line and " 2 " in line] == []
        assert imap.flags() == {1: {"$LearnedSpam"}, 2: set()}
        assert program("learn").out.count("1 held") == 1
        backdate(program.ledger, 86400)
        assert outcomes(learn(program)) == {("spam", 2): "learned"}
        assert [request.body for request in rspamd.learns] == [mail(1), mail(2)]


def test_held_for_a_while(stack: Stack, program: Program) -> None:
    """By the clock; a mailbox may say otherwise for itself."""
    accounts = INBOXES | {HAM: 'mailbox "INBOX" { class = ham  hold = 0s }'}
    program.configure(stack, accounts, top=proving(program, "hold = 3s"))
    stack.dovecot.append(SPAM, "INBOX", report("spam", 1))
    stack.dovecot.append(HAM, "INBOX", report("ham", 2))
    assert outcomes(learn(program)) == {("spam", 1): "held", ("ham", 1): "learned"}
    assert marks(stack, SPAM) == [""]
    time.sleep(4)
    assert outcomes(learn(program)) == {("spam", 1): "learned"}
    assert marks(stack, SPAM) == ["$LearnedSpam"] and stack.rspamd.learns() == (1, 1)


def test_an_administrator_decides_about_held_reports(stack: Stack, program: Program) -> None:
    """Delete: never learned. Move to a folder of the configuration: learned at once, as that
    folder's class. Move elsewhere: not at all. Leave: learned when its time has come."""
    mailboxes = ('mailbox "INBOX" { class = ham }  mailbox "Approved" { class = ham  hold = 0s }\n'
                 'mailbox "Wrong" { class = spam  hold = 0s  trusted = true  keep = false }')
    program.configure(stack, INBOXES | {HAM: mailboxes}, top=proving(program, "hold = 4s"))
    stack.dovecot.append_many(HAM, "INBOX", [report("ham", n) for n in range(1, 6)])
    for name in ("Approved", "Wrong", "Elsewhere"):
        with stack.dovecot.session(HAM) as link:
            stack.dovecot.check(link.create(name))
    started = time.time()
    assert list(outcomes(learn(program)).values()) == ["held"] * 5

    with stack.dovecot.session(HAM, "INBOX") as link:
        stack.dovecot.check(link.uid("STORE", "1", "+FLAGS.SILENT", r"(\Deleted)"))
        stack.dovecot.check(link.expunge())
        for uid, target in (("2", "Approved"), ("3", "Elsewhere"), ("4", "Wrong")):
            stack.dovecot.check(link.uid("MOVE", uid, target))
    learn(program)
    if time.time() < started + 3:  # INBOX was held still
        assert stack.rspamd.learns() == (1, 1)
    time.sleep(max(0.0, started + 5.5 - time.time()))
    learn(program)
    learn(program)
    assert stack.rspamd.learns() == (1, 2)
    assert marks(stack, HAM) == marks(stack, HAM, "Approved") == ["$LearnedHam"]
    assert marks(stack, HAM, "Wrong") == ["$LearnedSpam"]
    assert marks(stack, HAM, "Elsewhere") == [""]


def test_hold_and_quorum_together(stack: Stack, program: Program) -> None:
    """A report that is too new is no vote yet."""
    program.configure(stack, top=proving(program, "hold = 1h  quorum = 2"))
    old = time.time() - 7200
    stack.dovecot.append(SPAM, "INBOX", report("spam", 1), internaldate=old)
    stack.dovecot.append(SPAM, "INBOX", report("spam", 1, user=BOB))
    learn(program)
    assert "reporters=1 (1 spam, 0 ham)" in digest_line(program)
    stack.dovecot.append(SPAM, "INBOX", report("spam", 1, user=CAROL), internaldate=old)
    learn(program)
    assert stack.rspamd.learns() == (1, 0)
    assert marks(stack, SPAM) == ["$LearnedSpam", "", "$LearnedSpam"]
