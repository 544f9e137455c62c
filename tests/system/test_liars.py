"""IMAP servers that lie, or just have less than Dovecot. Whatever they say: the run ends, with
one clear line and the right exit status where it could not do its work, its memory stays small,
nothing is marked that rspamd did not learn, and once the server is honest everything is learned
once."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import corpus
from fakes import (CAPABILITIES, FakeController, FakeImap, Message, Reply, configure, drip,
                   endless, then_cut, then_silence)
from program import Program, Result, binary, environment
from servers import crlf

MAILS = [crlf(raw) for raw in sorted(corpus.spam(), key=len)[:6]]
MARKED = {"$LearnedSpam"}
MEMORY = 32 << 20  # bytes that a run may have at most: a million ranges of UIDs among them
SANITIZED = binary().exists() and b"__asan_init" in binary().read_bytes()


def honest_again(program: Program, imap: FakeImap, rspamd: FakeController,
                 twice: int = 0) -> None:
    """Everything that was not marked in vain is learned in the end, and not sent again but for
    so many messages."""
    learned = {request.body for request in rspamd.learns}
    assert all(message.raw in learned for message in imap.messages.values()
               if message.flags & MARKED)
    imap.lies.clear()
    assert program("learn").rc == 0
    sent = [request.body for request in rspamd.learns]
    assert {message.raw for message in imap.messages.values()} <= set(sent)
    assert len(sent) <= len(set(sent)) + twice
    assert all(message.flags == MARKED for message in imap.messages.values())


def learn(program: Program, imap: FakeImap, rspamd: FakeController, *, allowed: int = MEMORY,
          **options: str) -> Result:
    configure(program, imap, rspamd, **{"account": "timeout = 1s", **options})
    done, peak = measured(program)
    assert peak < allowed or SANITIZED, f"{peak >> 10} KiB"
    return done


def measured(program: Program) -> tuple[Result, int]:
    """A run, and how many bytes were resident at most, as far as looking every few
    milliseconds tells. (What wait4() says holds for the process that we forked, too.)"""
    out, err = program.folder / "out", program.folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        run = subprocess.Popen(program.command("learn"), stdout=stdout, stderr=stderr,
                               env=environment())
    timer = threading.Timer(30, run.kill)
    timer.start()
    peak = 0
    while run.poll() is None:
        status = Path(f"/proc/{run.pid}/status").read_text()
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            peak = int(found[1]) * 1024
        time.sleep(0.002)
    timer.cancel()
    return Result(run.returncode, out.read_text(), err.read_text()), peak


# ---- what no server may say ----

BROKEN: dict[str, tuple[str, Callable[[bytes], Reply]]] = {
    "a literal of 10 GB": (
        "BODY", lambda honest: re.sub(rb"\{\d+\}", b"{10737418240}", honest, count=1)),
    "a literal of 10^30 bytes": (
        "BODY", lambda honest: re.sub(rb"\{\d+\}", b"{" + b"9" * 30 + b"}", honest, count=1)),
    "a literal without a length": (
        "BODY", lambda honest: re.sub(rb"\{\d+\}", b"{}", honest, count=1)),
    "a large literal in metadata": (
        "METADATA", lambda honest: endless(b"* 1 FETCH (UID {999999999}\r\n", b"x" * 4096)),
    "an endless line": ("SELECT", lambda honest: endless(b"* OK ", b"x" * 4096)),
    "an endless greeting": ("GREETING", lambda honest: endless(b"* OK ", b"x" * 4096)),
    "an endless word": ("UID SEARCH", lambda honest: endless(b"* ", b"x" * 4096)),
    "an endless quoted string": ("LIST", lambda honest: endless(b'* LIST () "', b"x" * 4096)),
    "endless lists": ("METADATA", lambda honest: endless(b"* 1 FETCH ", b"(" * 4096)),
    "endless blanks": ("METADATA", lambda honest: endless(b"* 1 FETCH ", b" " * 4096)),
    "endless flags": ("METADATA", lambda honest: endless(b"* 1 FETCH (FLAGS (", b"\\Seen " * 512)),
    "endless UIDs": ("UID SEARCH", lambda honest: endless(b"* SEARCH", b" 1 3 5 7" * 512)),
    "NULs": ("METADATA", lambda honest: honest.replace(b"FLAGS", b"FL\0AGS")),
    "a NUL in a text": ("SELECT", lambda honest: honest.replace(b"] next", b"] \0")),
    "control characters": ("METADATA", lambda honest: b"* 1 \x1b[31mFETCH (UID 1)\r\n" + honest),
    "a ) too many": ("METADATA", lambda honest: honest.replace(b")\r\n", b"))\r\n")),
    "a ( too many": ("METADATA", lambda honest: honest.replace(b"FETCH (", b"FETCH ((")),
    "no number": ("METADATA", lambda honest: honest.replace(b"UID 1 ", b"UID one ")),
    "a UID above 2^32": ("METADATA", lambda honest: honest.replace(b"UID 1 ", b"UID 4294967296 ")),
    "UIDs that are none": ("UID SEARCH", lambda honest: b"* SEARCH 0 -1 x *\r\n" + honest),
    "another command's answer": ("UID SEARCH", lambda honest: b"L99 OK done\r\n"),
    "an answer that is none": ("SELECT", lambda honest: b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "another UIDVALIDITY in the middle": (
        "METADATA", lambda honest: b"* OK [UIDVALIDITY 99] moved\r\n" + honest),
    "more messages than there are": (
        "UID SEARCH", lambda honest: b"* ESEARCH (TAG \"x\") UID ALL 1:4294967294\r\n"
        + honest.splitlines(True)[-1]),
}


@pytest.mark.parametrize("lie", BROKEN)
def test_what_no_server_may_say(program: Program, rspamd: FakeController, lie: str) -> None:
    """The session ends with 69 (75 for the one that broke while logging in) and one line; the
    mail is as it was. Where the lie is about one message, that one is set aside, named, and the
    others are learned."""
    command, say = BROKEN[lie]
    boxes = 'mailbox "\\\\Junk" { class = spam }'
    with FakeImap(MAILS, {command: say}) as imap:
        done = learn(program, imap, rspamd, mailboxes=boxes)
        if command == "BODY":
            assert done.rc == 1 and "unreadable spam" in done.out and " sent a " in done.err
            assert all("connecting again" in line for line in done.err.splitlines())
            honest_again(program, imap, rspamd)
            return
        assert done.rc == 69 and done.err.count("\n") == 1, done
        assert "account spam@example.org" in done.err and imap.count("UID STORE") == 0
        assert done.err[:-1].isprintable()
        assert len(rspamd.learns) == 0
        honest_again(program, imap, rspamd)


# ---- what servers do say, now and then ----

def shuffled(honest: bytes) -> bytes:
    """FETCH answers the other way round; the literals are small enough to find them by eye."""
    *answers, end = re.split(rb"(?m)^(?=\* \d+ FETCH|L\d+ OK)", honest)
    return b"".join(reversed(answers)) + end


def body_first(honest: bytes) -> bytes:
    return re.sub(rb"\(UID (\d+) (BODY\[\] .*?)\)\r\n(?=\* \d+ FETCH|L\d+ OK)",
                  rb"(\2 UID \1)\r\n", honest, flags=re.DOTALL)


def twice(honest: bytes) -> bytes:
    *answers, end = re.split(rb"(?m)^(?=L\d+ OK)", honest)
    return b"".join(answers) * 2 + end


CHATTER = (b"* 8 EXISTS\r\n* 1 RECENT\r\n* OK [ALERT] the cellar is on fire\r\n"
           b"* 7 EXPUNGE\r\n* 7 EXPUNGE\r\n"
           b"* FLAGS (\\Seen $Phishing)\r\n* STATUS x (MESSAGES 2)\r\n* VANISHED 77\r\n"
           b"* LIST () \"/\" x\r\n* SEARCH 4711\r\n* ESEARCH UID ALL 4711\r\n"
           b"* XFOO (1 (2) \"3\")\r\n"
           b"* 77 FETCH (UID 4711 FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS (\\Seen))\r\n"
           b"* 78 FETCH (UID 4712 BODY[] {3}\r\nabc FLAGS () X-GM-LABELS (a \"b\") MODSEQ (9))\r\n"
           b"* 79 FETCH (UID 4713 RFC822.SIZE 5 INTERNALDATE \"rubbish\")\r\n"
           b"* CAPABILITY IMAP4rev1 UIDPLUS\r\n+ idling\r\n")

ODD: dict[str, dict[str, Callable[[bytes], Reply]]] = {
    "answers in another order": {"METADATA": shuffled, "BODY": shuffled},
    "each answer twice": {"METADATA": twice, "BODY": twice, "UID SEARCH": twice},
    "the body before the UID": {"BODY": body_first},
    "answers that nobody asked for": {
        command: lambda honest: CHATTER + honest
        for command in ("METADATA", "BODY", "UID STORE")},
    "answers behind the end": {
        command: lambda honest: honest + CHATTER for command in ("METADATA", "BODY")},
    "flags of messages while they are fetched": {
        "BODY": lambda honest: honest.replace(b"* 2 FETCH", b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n"
                                              b"* 2 FETCH")},
    "an extension's data": {"METADATA": lambda honest: re.sub(
        rb"FLAGS", b'X-GM-LABELS ("\\\\Junk" {3}\r\nabc (x)) EMAILID (M1) FLAGS', honest)},
    "one byte a packet": {"METADATA": lambda honest: drip(honest, 0)},
    "no text behind OK": {"UID STORE": lambda honest: re.sub(rb"OK.*", b"OK\r", honest)},
    "bare line feeds": {"METADATA": lambda honest: honest.replace(b"\r\n", b"\n")},
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_and_legal(program: Program, rspamd: FakeController, odd: str) -> None:
    """None of this matters: everything is learned once, exit 0, and no word."""
    with FakeImap(MAILS, ODD[odd]) as imap:
        done = learn(program, imap, rspamd)
        assert (done.rc, done.err) == (0, "")
        assert sorted(r.body for r in rspamd.learns) == sorted(MAILS)
        honest_again(program, imap, rspamd)


POOR: dict[str, dict[str, object]] = {
    "only IMAP4rev1": {"capabilities": "IMAP4rev1 AUTH=PLAIN"},
    "LOGIN only": {"capabilities": "IMAP4rev1"},
    "no initial response": {"capabilities": CAPABILITIES.replace("SASL-IR ", "")},
    "without ESEARCH": {"capabilities": CAPABILITIES.replace("ESEARCH ", "")},
    "without CONDSTORE": {"capabilities": CAPABILITIES.replace("CONDSTORE ", "")},
    "without UIDPLUS": {"capabilities": CAPABILITIES.replace("UIDPLUS ", "")},
    "without SPECIAL-USE": {"capabilities": CAPABILITIES.replace(" SPECIAL-USE", "")},
    "no UIDNEXT": {"lies": {"SELECT": lambda honest: re.sub(
        rb"\* OK \[UIDNEXT.*?\n", b"", honest)}},
    "NIL in metadata": {"lies": {"METADATA": lambda honest: re.sub(
        rb'INTERNALDATE ".*?"', b"INTERNALDATE NIL", honest)}},
    "a literal for a name": {"lies": {"LIST": lambda honest: honest.replace(
        b'"INBOX"', b"{5}\r\nINBOX")}},
    "no quotes about a name": {"lies": {"LIST": lambda honest: honest.replace(
        b'"INBOX"', b"INBOX")}},
}


@pytest.mark.parametrize("poor", POOR)
def test_servers_that_have_less(program: Program, rspamd: FakeController, poor: str) -> None:
    """No extension is needed to learn; a second run learns nothing."""
    with FakeImap(MAILS, **POOR[poor]) as imap:  # type: ignore[arg-type]
        done = learn(program, imap, rspamd, mailboxes='mailbox "\\\\Junk" { class = spam }')
        assert (done.rc, done.err, len(rspamd.learns)) == (0, "", len(MAILS))
        assert program("learn").rc == 0 and len(rspamd.learns) == len(MAILS)
        assert all(flags == MARKED for flags in imap.flags().values())


# ---- things that go wrong ----

def only(code: bytes) -> Callable[[bytes], bytes]:
    """The command is refused: only its tagged answer comes."""
    return lambda honest: re.sub(rb"(?s).*?(L\d+) OK[^\n]*\n$", rb"\1 " + code + b"\r\n", honest)


REFUSED: dict[str, tuple[str, Callable[[bytes], Reply], str]] = {
    "BYE": ("METADATA", lambda honest: then_cut(b"* BYE for maintenance\r\n"), "maintenance"),
    "BYE while storing": ("UID STORE", lambda honest: then_cut(b"* BYE bye\r\n"), "bye"),
    "no UIDVALIDITY": ("SELECT", lambda honest: honest.replace(b"[UIDVALIDITY 7] ", b""),
                       "UIDVALIDITY"),
    "renamed away": ("METADATA", only(b"NO [NONEXISTENT] Mailbox was renamed"), "renamed"),
    "renamed while bodies come": ("BODY", only(b"NO [NONEXISTENT] renamed"), "renamed"),
    "a capability that is none": ("UID SEARCH", only(b"BAD unknown RETURN"), "RETURN"),
    "CONDSTORE that is none": ("SELECT", only(b"BAD no parameters"), "no parameters"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_goes_wrong(program: Program, rspamd: FakeController, wrong: str) -> None:
    """One line with the server's words and a status that is not 0; what rspamd learned by then
    is recorded, and is not sent again."""
    command, say, words = REFUSED[wrong]
    with FakeImap(MAILS, {command: say}) as imap:
        done = learn(program, imap, rspamd)
        assert done.rc in (69, 75), done
        assert words in done.err.splitlines()[-1], done
        assert all("connecting again" in line for line in done.err.splitlines()[:-1])
        honest_again(program, imap, rspamd)


ONCE: dict[str, tuple[str, Callable[[bytes], Reply]]] = {
    "BYE": ("UID SEARCH", lambda honest: then_cut(b"* BYE for maintenance\r\n")),
    "hanging up": ("METADATA", lambda honest: then_cut(honest[:70])),
    "silence in a literal": ("BODY", lambda honest: then_silence(honest[:200])),
    "dripping a literal": ("BODY", lambda honest: drip(honest, 0.1)),
}


NO_MARKS = {"over quota": b"NO [OVERQUOTA] quota exceeded",
            "keywords are refused": b"NO [LIMIT] too many keywords",
            "STORE is not understood": b"BAD what"}


@pytest.mark.parametrize("answer", NO_MARKS.values(), ids=NO_MARKS)
def test_a_mailbox_that_takes_no_marks(program: Program, rspamd: FakeController,
                                       answer: bytes) -> None:
    """One warning with the server's words; the ledger alone remembers; nothing is sent again."""
    with FakeImap(MAILS, {"UID STORE": only(answer)}) as imap:
        for learned in (len(MAILS), 0):
            done = learn(program, imap, rspamd)
            assert done.rc == 0 and f"learned {learned} " in done.out
            assert done.err.count("the ledger alone knows") == (1 if learned else 0), done
        assert len(rspamd.learns) == len(MAILS)


@pytest.mark.parametrize("wrong", ONCE)
def test_what_goes_wrong_once(program: Program, rspamd: FakeController, wrong: str) -> None:
    """The run connects again and learns everything: a warning, exit 0."""
    command, say = ONCE[wrong]
    with FakeImap(MAILS) as imap:
        def lie(honest: bytes) -> Reply:
            imap.lies.clear()
            return say(honest)

        imap.lies[command] = lie
        done = learn(program, imap, rspamd)
        assert done.rc == 0 and done.err.count("\n") == 1 and "connecting again" in done.err
        honest_again(program, imap, rspamd)


def test_a_mailbox_that_goes_does_not_stop_the_others(program: Program,
                                                      rspamd: FakeController) -> None:
    """An error of one mailbox is said, the next one is learned, and the status tells."""
    with FakeImap(MAILS) as imap:
        boxes = 'mailbox "Gone" { class = spam }\nmailbox "INBOX" { class = spam }'
        done = learn(program, imap, rspamd, mailboxes=boxes)
        assert done.rc != 0 and "mailbox Gone" in done.err and len(rspamd.learns) == len(MAILS)


# ---- where marks cannot be set ----

@pytest.mark.parametrize("old, new", [
    (b"PERMANENTFLAGS (\\Deleted \\Seen \\*)", b"PERMANENTFLAGS (\\Seen)"),
    (b"PERMANENTFLAGS (\\Deleted \\Seen \\*)", b"PERMANENTFLAGS ()"),
    (b"PERMANENTFLAGS (\\Deleted \\Seen \\*)", b"PERMANENTFLAGS ($LearnedSpam)"),
    (b"OK done", b"OK [READ-ONLY] done"),
])
def test_without_keywords_the_ledger_alone_remembers(
        program: Program, rspamd: FakeController, old: bytes, new: bytes) -> None:
    """A read-only mailbox, or one that allows no keywords: a warning, no STORE, exit 0, and the
    second run learns nothing."""
    with FakeImap(MAILS, {"SELECT": lambda honest: honest.replace(old, new)}) as imap:
        done = learn(program, imap, rspamd)
        assert done.rc == 0 and "only the ledger knows" in done.err
        assert imap.count("UID STORE") == 0 and len(rspamd.learns) == len(MAILS)
        assert program("learn").rc == 0 and len(rspamd.learns) == len(MAILS)


def test_keywords_one_by_one(program: Program, rspamd: FakeController) -> None:
    """A mailbox that allows ours and no others is marked."""
    listed = b"(\\Seen $LearnedSpam $LearnedHam $LearnSkipped)"
    lie = {"SELECT": lambda honest: honest.replace(b"(\\Deleted \\Seen \\*)", listed)}
    with FakeImap(MAILS, lie) as imap:
        assert learn(program, imap, rspamd).rc == 0
        assert all(flags == MARKED for flags in imap.flags().values())


# ---- mail that comes and goes ----

def test_expunged_in_the_middle(program: Program, rspamd: FakeController) -> None:
    """A message that another client removes while we fetch is no error, and the messages behind
    it are not shifted by one."""
    with FakeImap(MAILS) as imap:
        def expunge(honest: bytes) -> bytes:
            imap.lies.clear()
            del imap.messages[2]
            return b"* 2 EXPUNGE\r\n" + honest

        def gone(honest: bytes) -> bytes:
            return expunge(re.sub(rb"(?s)\* 2 FETCH.*?(?=\* 3 FETCH)", b"", honest))

        imap.lies["BODY"] = gone
        assert learn(program, imap, rspamd).rc == 0
        assert sorted(r.body for r in rspamd.learns) == sorted([MAILS[0], *MAILS[2:]])
        assert imap.flags() == {uid: MARKED for uid in (1, 3, 4, 5, 6)}


def test_answers_that_are_missing(program: Program, rspamd: FakeController) -> None:
    """A message that was found, and then not given although it is there, is not forgotten: a
    later run learns it."""
    without = {"BODY": lambda honest: re.sub(rb"(?s)\* 2 FETCH.*?(?=\* 3 FETCH)", b"", honest)}
    with FakeImap(MAILS, without) as imap:
        assert learn(program, imap, rspamd).rc == 0
        assert imap.flags()[2] == set() and len(rspamd.learns) == 5
        honest_again(program, imap, rspamd)


def test_mail_that_arrives_meanwhile(program: Program, rspamd: FakeController) -> None:
    """It belongs to the next run, which takes it."""
    with FakeImap(MAILS[:3]) as imap:
        def arrive(honest: bytes) -> bytes:
            if imap.uidnext == 4:
                imap.add(MAILS[3])
            return b"* 4 EXISTS\r\n" + honest

        imap.lies["METADATA"] = arrive
        assert learn(program, imap, rspamd).rc == 0 and len(rspamd.learns) == 3
        assert imap.flags()[4] == set()
        honest_again(program, imap, rspamd)


def test_uids_that_are_used_again(program: Program, rspamd: FakeController) -> None:
    """The server was restored from a backup without a new UIDVALIDITY: other mail has the old
    UIDs. It bears no mark, and none is put on it that is not its own."""
    with FakeImap(MAILS[:3]) as imap:
        assert learn(program, imap, rspamd).rc == 0
        imap.messages = {uid: Message(raw) for uid, raw in enumerate(MAILS[3:], 1)}
        assert program("learn").rc == 0
        learned = {request.body for request in rspamd.learns}
        assert all(m.raw in learned for m in imap.messages.values() if m.flags)


def test_uidvalidity_of_another_day(program: Program, rspamd: FakeController) -> None:
    """Between runs it may change: other UIDs, the same mail, nothing is sent again."""
    with FakeImap(MAILS) as imap:
        assert learn(program, imap, rspamd).rc == 0
        imap.uidvalidity, imap.uidnext = 8, 1
        mails, imap.messages = imap.messages, {}
        for message in reversed(mails.values()):
            imap.add(Message(message.raw))
        assert program("learn").rc == 0 and len(rspamd.learns) == len(MAILS)
        assert all(flags == MARKED for flags in imap.flags().values())


# ---- sizes ----

BIG = b"Subject: big\r\n\r\n" + b"0123456789abcde\r\n" * 60_000  # 1 MB


def test_a_size_that_is_not_true(program: Program, rspamd: FakeController) -> None:
    """RFC822.SIZE says little and much comes: above max-size it is thrown away while it comes,
    and the messages beside it are learned."""
    small = {"METADATA": lambda honest: re.sub(rb"SIZE \d+", b"SIZE 10", honest)}
    with FakeImap([BIG, MAILS[0]], small) as imap:
        assert learn(program, imap, rspamd, top="max-size = 900K\n").rc == 0
        assert [r.body for r in rspamd.learns] == [MAILS[0]]
        assert imap.flags() == {1: {"$LearnSkipped"}, 2: MARKED}


def test_memory_does_not_believe_sizes(program: Program, rspamd: FakeController) -> None:
    """Thirty messages of 1 MB that are said to have 10 bytes are not held at once."""
    small = {"METADATA": lambda honest: re.sub(rb"SIZE \d+", b"SIZE 10", honest)}
    with FakeImap([BIG + b"%d\r\n" % n for n in range(30)], small) as imap:
        done = learn(program, imap, rspamd, allowed=MEMORY + 2 * len(BIG))
        assert done.rc == 0 and len(rspamd.learns) == 30
