"""What nobody means to do to a mail server and its trainer, and what happens all the same: backups
that are put back, messages that cannot be read, output that is closed, servers that talk for
ever. No unlearned message is deleted, and nothing keeps the others from being learned."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from fakes import (FakeController, FakeImap, Message, Reply, by_subject, configure, endless,
                   fetched, then_cut)
from program import Program, Result, Rig, environment
from servers import Stack, crlf
from test_liars import MEMORY, SANITIZED, measured

SPAM, HAM = "spam@example.org", "ham@example.org"
BOX = 'mailbox "INBOX" { class = spam }'
AT_ONCE = "retention { learned = 0s }\n"
MARKED = {"$LearnedSpam"}


@pytest.fixture
def rspamd() -> Iterator[FakeController]:
    with FakeController(by_subject) as controller:
        yield controller


def mail(word: str, subject: str = "offer") -> bytes:
    return crlf(f"From: a@example.com\nSubject: {subject}\n\n"
                f"The words of {word} are not those of another one.\n".encode())


def words(rspamd: FakeController) -> list[str]:
    """Which mails rspamd was given."""
    found = [re.search(rb"words of (\S+)", request.body) for request in rspamd.learns]
    return [match[1].decode() for match in found if match]


def on_dovecot(stack: Stack, program: Program, rspamd: FakeController, top: str = "",
               accounts: dict[str, str] | None = None) -> None:
    program.configure(Rig(rspamd, stack.dovecot, stack.authority), accounts or {SPAM: BOX},
                      top=top)


def good(done: Result) -> Result:
    assert done.rc == 0, done
    return done


# ---- backups that are put back ----

@pytest.mark.parametrize("arrived", [1, 2, 3])
def test_a_mail_store_that_was_restored(stack: Stack, program: Program, rspamd: FakeController,
                                        arrived: int) -> None:
    """Yesterday's mailbox is put back, and what arrives then gets UIDs that the ledger knows as
    learned: it is learned before it is deleted."""
    dovecot, new = stack.dovecot, [f"new{n}" for n in range(arrived)]
    on_dovecot(stack, program, rspamd)
    dovecot.append_many(SPAM, "INBOX", [mail("one"), mail("two")])
    good(program("learn"))
    home, backup = dovecot.home(SPAM), dovecot.home("backup")
    subprocess.run(["cp", "-a", home, backup], check=True)
    dovecot.append_many(SPAM, "INBOX", [mail("three"), mail("four")])
    good(program("learn"))
    shutil.rmtree(home)
    backup.rename(home)
    dovecot.append_many(SPAM, "INBOX", [mail(word) for word in new])
    on_dovecot(stack, program, rspamd, AT_ONCE)
    for _ in range(3):
        good(program("expire"))
        left = b"".join(dovecot.messages(SPAM).values()).decode()
        assert all(word in words(rspamd) or word in left for word in new)
        good(program("run"))
    assert sorted(words(rspamd)[4:]) == new and dovecot.flags(SPAM) == {}


def test_a_mark_that_somebody_took_off(stack: Stack, program: Program,
                                       rspamd: FakeController) -> None:
    """The message stays, is looked at again, and goes when its mark is back; rspamd is not asked
    again. One that failed never had a mark, and goes by its own age."""
    on_dovecot(stack, program, rspamd, "retention { learned = 0s  failed = 0s }\n")
    stack.dovecot.append_many(SPAM, "INBOX", [mail("one"), mail("two"), mail("three", "bad")])
    assert program("learn").rc == 1
    with stack.dovecot.session(SPAM, "INBOX") as link:
        stack.dovecot.check(link.uid("STORE", "2", "-FLAGS", "($LearnedSpam)"))
    assert "1 messages are not as they were" in good(program("expire")).err
    assert stack.dovecot.flags(SPAM) == {2: set()}
    assert "1 known" in good(program("learn")).out
    assert stack.dovecot.flags(SPAM) == {2: MARKED} and len(rspamd.learns) == 3
    good(program("expire"))
    assert stack.dovecot.flags(SPAM) == {}


def test_skipped_mail_of_a_lost_ledger(stack: Stack, program: Program,
                                       rspamd: FakeController) -> None:
    """$LearnSkipped does not say why: the message stays as long as it would for any reason."""
    top = "max-size = 2K\nretention { learned = 0s }\n"
    on_dovecot(stack, program, rspamd, top)
    stack.dovecot.append_many(SPAM, "INBOX", [mail("large") + b"filling words\r\n" * 300])
    assert "1 above max-size" in good(program("run")).out
    shutil.rmtree(program.ledger)
    assert "1 skipped by an earlier run" in good(program("run")).out
    assert good(program("run")).out.startswith("spam@example.org INBOX: nothing new")
    assert stack.dovecot.flags(SPAM) == {1: {"$LearnSkipped"}}
    on_dovecot(stack, program, rspamd, top.replace("}", "skipped = 0s }"))
    good(program("run"))
    assert stack.dovecot.flags(SPAM) == {}


# ---- one message, or one account, that cannot be had ----

def test_a_message_that_cannot_be_read(stack: Stack, program: Program,
                                       rspamd: FakeController) -> None:
    """Dovecot hangs up when it shall give it. What lies before and behind it is learned, marked
    and removed, and once it can be read it is learned too."""
    on_dovecot(stack, program, rspamd, AT_ONCE)
    stack.dovecot.append_many(SPAM, "INBOX", [mail(f"word{n}") for n in range(5)])
    sick, = [path for path in stack.dovecot.home(SPAM).rglob("new/*")
             if b"of word2 " in path.read_bytes()]
    sick.chmod(0)
    done = program("learn")
    assert done.rc != 0 and "FETCH failed" in done.out + done.err
    program("learn")
    assert sorted(words(rspamd)) == ["word0", "word1", "word3", "word4"]  # sent side by side
    assert stack.dovecot.flags(SPAM) == {1: MARKED, 2: MARKED, 3: set(), 4: MARKED, 5: MARKED}
    stack.dovecot.append_many(SPAM, "INBOX", [mail("later")])
    program("learn")
    assert words(rspamd)[-1] == "later" and stack.dovecot.flags(SPAM)[6] == MARKED
    sick, = stack.dovecot.home(SPAM).rglob(f"cur/{sick.name}*")
    sick.chmod(0o600)
    good(program("run"))
    assert words(rspamd)[-1] == "word2" and stack.dovecot.flags(SPAM) == {}


@pytest.mark.parametrize("nothing", [b"NIL", b'""', b"{0}\r\n"])
def test_a_body_that_is_nothing(program: Program, rspamd: FakeController, nothing: bytes) -> None:
    """The server says how large it is and gives nothing of it: failed, and said so, run after
    run; not skipped, not forgotten."""
    def empty(honest: bytes) -> bytes:
        return re.sub(rb"(?s)(UID 2 BODY\[\] )\{.*?(?=\)\r\n(?:\* 3|L\d+ OK))", rb"\1" + nothing,
                      honest)

    with FakeImap([mail(f"word{n}") for n in range(4)], {"BODY": empty}) as imap:
        configure(program, imap, rspamd)
        for _ in range(3):
            done = program("learn")
            assert done.rc == 1 and "uid=2 " in done.out and "the mail server gave" in done.out
            assert imap.flags() == {1: MARKED, 2: set(), 3: MARKED, 4: MARKED}
        imap.lies.clear()
        good(program("learn"))
        *first, last = words(rspamd)
        assert (sorted(first), last) == (["word0", "word2", "word3"], "word1")  # side by side


def test_a_password_command_is_its_accounts_own(stack: Stack, program: Program,
                                                rspamd: FakeController) -> None:
    """It fails: the other account is learned from. It hangs: a signal is obeyed at once."""
    on_dovecot(stack, program, rspamd, accounts={
        SPAM: BOX, HAM: 'mailbox "INBOX" { class = ham }'})
    stack.dovecot.append_many(HAM, "INBOX", [mail("ham")])
    text = program.config.read_text()

    def command(line: str) -> None:
        program.config.write_text(text.replace(
            f'password-file = "{program.folder}/spam.password"', f'password-command = "{line}"'))

    command("exit 3")
    done = program("learn")
    assert done.rc == 78 and "exit status 3" in done.err and words(rspamd) == ["ham"]
    command("sleep 20")
    run = program.start("learn")
    time.sleep(0.5)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=5)
    assert run.returncode == 143 and b"stopped by a signal" in err


# ---- --max ----

def test_max_is_not_used_up_by_what_always_fails(program: Program,
                                                 rspamd: FakeController) -> None:
    mails = [mail(f"bad{n}", "bad") for n in range(3)] + [mail(f"good{n}") for n in range(3)]
    with FakeImap(mails) as imap:
        configure(program, imap, rspamd)
        for _ in range(3):
            program("learn", "--max", "3")
        assert [uid for uid, flags in imap.flags().items() if flags] == [4, 5, 6]


def test_max_is_not_used_up_by_unread_mail(program: Program, rspamd: FakeController) -> None:
    mails = [Message(mail(f"new{n}")) for n in range(3)]
    mails += [Message(mail(f"read{n}"), {"\\Seen"}) for n in range(3)]
    with FakeImap(mails) as imap:
        configure(program, imap, rspamd, mailboxes='mailbox "INBOX" { class = spam '
                                                   'seen-only = true }')
        for _ in range(3):
            good(program("learn", "--max", "2"))
        assert sorted(words(rspamd)) == ["read0", "read1", "read2"]


def test_max_is_not_used_up_by_a_connection_that_breaks(program: Program,
                                                        rspamd: FakeController) -> None:
    with FakeImap([mail(f"word{n}") for n in range(6)]) as imap:
        def once(honest: bytes) -> Reply:
            imap.lies.clear()
            return then_cut(honest[:10])

        imap.lies["BODY"] = once
        configure(program, imap, rspamd)
        assert "4 learned" in good(program("learn", "--max", "4")).out
        assert sum(map(bool, imap.flags().values())) == 4


# ---- standard streams ----

@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&- 2>&-", ">&- 2>&-", "<&- >&-"])
def test_closed_streams(program: Program, rspamd: FakeController, closed: str) -> None:
    """What would be printed is not written into the ledger instead."""
    with FakeImap([mail(f"word{n}") for n in range(100)]) as imap:
        configure(program, imap, rspamd)
        line = f"{shlex.join(program.command('learn', '-vv'))} {closed}"
        done = subprocess.run(["sh", "-c", line], capture_output=True, env=environment())
        assert done.returncode == 0, done
        good(program("ledger", "verify"))
        assert all(flags == MARKED for flags in imap.flags().values())
        good(program("learn"))
        assert len(rspamd.learns) == 100


# ---- servers without an end, mailboxes without a bound ----

def still_here(honest: bytes) -> Iterator[bytes]:
    while True:
        yield b"* OK Still here\r\n"
        time.sleep(0.2)


FOREVER: dict[str, tuple[str, Callable[[bytes], Reply]]] = {
    "still here": ("UID SEARCH", still_here),
    "a flood": ("UID SEARCH", lambda honest: endless(b"", b"* OK\r\n" * 4096)),
    "mail for others": ("METADATA", lambda honest: endless(
        b"", fetched(9, 99, Message(mail("other")), True) * 400)),
}


@pytest.mark.parametrize("how", FOREVER)
def test_a_server_that_talks_for_ever(program: Program, rspamd: FakeController,
                                      how: str) -> None:
    command, say = FOREVER[how]
    with FakeImap([mail("word")], {command: say}) as imap:
        configure(program, imap, rspamd, account="timeout = 1s")
        done, peak = measured(program)
        assert done.rc == 69 and "never finishes its answer" in done.err, done
        assert peak < MEMORY or SANITIZED


def test_a_body_that_is_said_twice(program: Program, rspamd: FakeController) -> None:
    """A FETCH response with forty bodies ends the session with one line, and is held at most once;
    the next session learns."""
    many = b"* 1 FETCH (UID 77" + (b' BODY[] "' + b"x" * 20_000 + b'"') * 40 + b")\r\n"
    with FakeImap([mail("word")], {"METADATA": lambda honest: many * 50 + honest}) as imap:
        configure(program, imap, rspamd)
        done, peak = measured(program)
        assert done.rc == 69 and "two bodies of one message" in done.err and not any(
            imap.flags().values())
        assert peak < MEMORY or SANITIZED, f"{peak >> 10} KiB"
        imap.lies.clear()
        assert program("learn").rc == 0 and imap.flags() == {1: MARKED}


class Giant(FakeImap):
    """So many messages, all learned by a run whose ledger is lost."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n, self.uidnext = n, n + 1

    def _do_select(self, rest: str) -> bytes:
        return super()._do_select(rest).replace(b"* 0 EXISTS", b"* %d EXISTS" % self.n)

    def _do_uid_search(self, rest: str) -> bytes:
        first, last = map(int, rest.rpartition("UID ")[2].split(":"))
        return f'* ESEARCH (TAG "x") UID ALL {first}:{min(last, self.n)}\r\n'.encode()

    def _do_uid_fetch(self, rest: str) -> bytes:
        first, last = map(int, rest.partition(" ")[0].split(":"))
        return b"".join(f"* {uid} FETCH (UID {uid} FLAGS ($LearnedSpam) RFC822.SIZE 9)\r\n"
                        .encode() for uid in range(first, last + 1))


def test_a_million_messages_of_a_lost_ledger(program: Program, rspamd: FakeController) -> None:
    """They do not fit into one transaction of the ledger."""
    with Giant(1_000_000) as imap:
        configure(program, imap, rspamd, account="timeout = 10s")
        assert "1000000 known" in good(program("learn")).out
        assert "nothing new" in good(program("learn")).out and rspamd.learns == []
