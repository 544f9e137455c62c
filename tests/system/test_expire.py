"""What `expire` and `run` promise, on a real Dovecot: what is settled and old enough goes, and
nothing else does, whoever else is at work in the mailbox and whatever breaks."""

from __future__ import annotations

import hashlib
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import FakeController, by_subject, configure
from ledgerfile import LedgerFile, backdate, older
from program import Program, Result, Rig
from proxy import Fault, Proxy
from servers import Authority, Dovecot, Stack, dovecot_version, quoted, wait_until
from test_network import Link

SPAM, HAM = "spam@example.org", "ham@example.org"
BOX = 'mailbox "INBOX" { class = spam }'
DAY = 86400
AT_ONCE = "retention { learned = 0s  skipped = 0s }\n"
DELETED, FLAGGED = r"\Deleted", r"\Flagged"


@pytest.fixture
def rspamd() -> Iterator[FakeController]:
    with FakeController(by_subject) as controller:
        yield controller


@pytest.fixture
def spool(stack: Stack, program: Program, rspamd: FakeController) -> Spool:
    return Spool(stack.dovecot, program, rspamd, stack.authority)


def mail(word: str, subject: str = "offer") -> bytes:
    return (f"From: a@example.com\r\nSubject: {subject}\r\n\r\n"
            f"The words of {word} are not those of another one.\r\n").encode()


class Spool:
    """A Dovecot and the program, with a fake rspamd."""

    def __init__(self, dovecot: Dovecot, program: Program, rspamd: FakeController,
                 authority: Authority) -> None:
        self.dovecot, self.program, self.rspamd = dovecot, program, rspamd
        self.rig = Rig(rspamd, dovecot, authority)

    def policy(self, retention: str, accounts: dict[str, str] | None = None) -> None:
        self.program.configure(self.rig, accounts or {SPAM: BOX}, top=retention)

    def learned(self, *mails: bytes, mailbox: str = "INBOX", user: str = SPAM) -> None:
        """These are in the mailbox, learned and marked; the policy is to keep everything."""
        self.dovecot.append_many(user, mailbox, mails)
        self.policy("max-size = 2K\n", {user: f'mailbox "{mailbox}" {{ class = spam }}'})
        done = self.program("learn")
        assert done.rc in (0, 1), done

    def expire(self, *args: str, rc: int = 0, command: str = "expire") -> Result:
        done = self.program(command, *args)
        assert done.rc == rc, done
        return done

    def left(self, mailbox: str = "INBOX", user: str = SPAM) -> list[int]:
        return sorted(self.dovecot.flags(user, mailbox))

    def store(self, uids: str, flags: str, how: str = "+") -> None:
        with self.dovecot.session(SPAM, "INBOX") as link:
            self.dovecot.check(link.uid("STORE", uids, f"{how}FLAGS", f"({flags})"))

    def states(self) -> dict[int, str]:
        return {event["uid"]: event["state"]
                for event in self.program("ledger", "messages", "--json").events
                if event["event"] == "message"}


# ---- what goes, and when ----

def test_each_outcome_has_its_own_age(spool: Spool) -> None:
    """Learned, known, skipped and failed go each by its own age; a failed message never, unless
    the policy says so; each is counted as what it was."""
    large = mail("large") + b"filling words\r\n" * 200
    spool.learned(mail("one"), mail("one"), mail("two", "short"), large, mail("three", "bad"))
    policy = {"learned": "11d", "known": "11d", "skipped": "11d", "untrusted": "1d"}
    backdate(spool.program.ledger, 10 * DAY)
    spool.policy(retention(policy))
    assert "expired 0 " in spool.expire().out and spool.left() == [1, 2, 3, 4, 5]
    for change, gone, words in (("known", [2], "expired 1 (1 known)"),
                                ("skipped", [3, 4], "expired 2 (2 skipped)"),
                                ("learned", [1], "expired 1 (1 learned)"),
                                ("failed", [5], "expired 1 (1 failed)")):
        before = spool.left()
        policy[change] = "9d"
        spool.policy(retention(policy))
        done = spool.expire()
        assert words in done.out and done.err == ""
        assert spool.left() == [uid for uid in before if uid not in gone]
        assert spool.expire().out.startswith("expired 0 ")
    assert spool.states() == {}


def retention(policy: dict[str, str]) -> str:
    return "retention { " + " ".join(f"{key} = {age}" for key, age in policy.items()) + " }\n"


def test_nothing_goes_by_default(spool: Spool) -> None:
    """Without a retention block, and with an empty one."""
    spool.learned(mail("one"))
    backdate(spool.program.ledger, 300 * DAY)
    for top in ("", "retention { }\n"):
        spool.policy(top)
        spool.expire()
        assert spool.left() == [1] and spool.states() == {1: "marked"}


def test_run_is_learn_and_expire(spool: Spool) -> None:
    """In one run; what arrived is learned, and what is due goes; exit 0 and one summary."""
    spool.learned(mail("one"))
    spool.dovecot.append_many(SPAM, "INBOX", [mail("two"), mail("three", "bad")])
    spool.policy(AT_ONCE)
    done = spool.expire(command="run", rc=1)
    assert spool.left() == [3] and len(spool.rspamd.learns) == 3
    assert "learned 1 (spam 1, ham 0)" in done.out and "expired 2 (2 learned)" in done.out


def test_nothing_goes_while_rspamd_is_down(spool: Spool) -> None:
    """`run` with rspamd away: 69, one line, and no mail goes, though it is due."""
    spool.learned(mail("one"))
    spool.policy(AT_ONCE)
    spool.rspamd.close()
    done = spool.expire(command="run", rc=69)
    assert done.err.count("\n") == 1 and spool.left() == [1]
    assert spool.expire().out.startswith(f"{SPAM} INBOX: 1 expired (1 learned)")


# ---- how many ----

def test_at_most_so_many_a_run(spool: Spool) -> None:
    """max-per-run over all accounts together, --max below that, the oldest UIDs first; --account
    leaves the others alone."""
    spool.learned(*(mail(str(n)) for n in range(6)))
    spool.learned(*(mail(f"ham {n}") for n in range(3)), user=HAM)
    both = {SPAM: BOX, HAM: BOX}
    spool.policy("retention { learned = 0s  max-per-run = 4 }\n", both)
    none = spool.expire("--max", "0", "-v", "-v")
    assert "expired 0 " in none.out and "SELECT" not in none.err
    assert "expired 3 (3 learned)" in spool.expire("--max", "3").out
    assert spool.left() == [4, 5, 6] and spool.left(user=HAM) == [1, 2, 3]
    assert "expired 2 " in spool.expire("--max", "2", "--account", HAM).out
    assert spool.left() == [4, 5, 6] and spool.left(user=HAM) == [3]
    assert "expired 4 " in spool.expire("--max", "100").out
    assert spool.left() == [] == spool.left(user=HAM)


# ---- what it says before it does it ----

def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir() if path.name != "lock.mdb"}


def test_a_dry_run_says_all_and_changes_nothing(spool: Spool) -> None:
    """One line a message, with why; the total; server and ledger as they were; and the run after
    it does just that."""
    spool.learned(mail("one"), mail("one"), mail("two", "short"), mail("three"), mail("four"))
    spool.store("4", FLAGGED)
    spool.store("5", DELETED)
    spool.policy("retention { learned = 0s  known = 7d  skipped = 30m }\n")
    backdate(spool.program.ledger, DAY)
    flags, ledger = spool.dovecot.flags(SPAM), sums(spool.program.ledger)
    dry = spool.expire("--dry-run")
    assert spool.dovecot.flags(SPAM) == flags and sums(spool.program.ledger) == ledger
    lines = dry.out.splitlines()
    when = r"settled=20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ digest=[0-9a-f]{12}"
    assert re.fullmatch(rf"expire  spam {SPAM} INBOX uid=1 {when}: learned, kept for 0d", lines[0])
    assert re.fullmatch(rf"expire  spam {SPAM} INBOX uid=3 {when}: unlearnable, kept for 30m",
                        lines[1])
    assert lines[2] == (f"{SPAM} INBOX: 2 would expire (1 learned, 1 skipped); 2 left, "
                        "because somebody else flagged or deleted them")
    assert len(lines) == 4 and lines[3].startswith("would expire 2 (1 learned, 1 skipped) ")
    events = spool.expire("--dry-run", "--json").events
    assert [event["uid"] for event in events if event["event"] == "expired"] == [1, 3]
    assert all(event["dry_run"] for event in events if event["event"] == "expired")
    done = spool.expire("-v").out.splitlines()
    assert done[:2] == [line.replace("expire ", "expired") for line in lines[:2]]
    assert done[2] == lines[2].replace("would expire", "expired") and len(done) == 4
    assert spool.left() == [2, 4, 5]


# ---- other people ----

def test_what_others_flagged_or_deleted_is_theirs(spool: Spool) -> None:
    """Due messages that another client flagged or marked as deleted stay, and are counted; so do
    deleted ones that are not due, since only our UIDs are expunged."""
    spool.learned(*(mail(str(n)) for n in range(6)), mail("bad", "bad"))
    spool.store("2", FLAGGED)
    spool.store("4,7", DELETED)
    spool.store("5", r"\Seen \Answered")
    spool.policy(AT_ONCE)
    done = spool.expire()
    assert "4 expired (4 learned); 2 left, because somebody else flagged" in done.out
    assert spool.left() == [2, 4, 7]
    flags = spool.dovecot.flags(SPAM)
    assert DELETED in flags[4] and DELETED in flags[7] and FLAGGED in flags[2]
    spool.store("2", FLAGGED, "-")
    spool.store("4", DELETED, "-")
    assert "2 expired (2 learned)" in spool.expire().out and spool.left() == [7]


def test_what_arrived_later_stays(spool: Spool) -> None:
    """Mail that no run has looked at yet is not touched by expire."""
    spool.learned(mail("one"), mail("two"))
    spool.dovecot.append_many(SPAM, "INBOX", [mail("three"), mail("one")])
    spool.policy(AT_ONCE)
    assert "2 expired (2 learned)" in spool.expire().out and spool.left() == [3, 4]


def test_mailboxes_that_are_kept(spool: Spool) -> None:
    """keep = true: never touched, and not even opened; its neighbour is."""
    spool.learned(mail("one"))
    spool.learned(mail("two"), mailbox="Reports")
    boxes = f'{BOX[:-1]} keep = true }}\nmailbox "Reports" {{ class = spam }}'
    spool.policy(AT_ONCE, {SPAM: boxes})
    done = spool.expire("-v", "-v")
    assert spool.left() == [1] and spool.left("Reports") == []
    assert 'SELECT "Reports"' in done.err and 'SELECT "INBOX"' not in done.err


def test_a_mailbox_made_anew_loses_nothing(spool: Spool) -> None:
    """Another UIDVALIDITY: the UIDs of the ledger are other messages now."""
    spool.learned(*(mail(str(n)) for n in range(3)), mailbox="Reports")
    with spool.dovecot.session(SPAM) as link:
        spool.dovecot.check(link.delete("Reports"))
    time.sleep(1.1)  # UIDVALIDITY is a time in seconds
    spool.dovecot.append_many(SPAM, "Reports", [mail("new"), mail("newer"), mail("0")])
    boxes = {SPAM: 'mailbox "Reports" { class = spam }'}
    spool.policy(AT_ONCE, boxes)
    spool.expire()
    assert spool.left("Reports") == [1, 2, 3]
    done = spool.expire(command="run")  # now it knows what they are
    assert "2 learned, 1 known" in done.out and spool.left("Reports") == []


def test_somebody_else_was_quicker(spool: Spool) -> None:
    """Messages that are gone already are no error; the ledger forgets them, and the rest goes."""
    spool.learned(*(mail(str(n)) for n in range(4)))
    with spool.dovecot.session(SPAM, "INBOX") as link:
        spool.dovecot.check(link.uid("STORE", "2:3", "+FLAGS", f"({DELETED})"))
        spool.dovecot.check(link.expunge())
    spool.policy(AT_ONCE)
    assert "2 expired (2 learned)" in spool.expire().out
    assert spool.left() == [] and spool.states() == {}


# ---- to another mailbox ----

@pytest.mark.parametrize("name", ["Archive", 'Alt/für "später" & 日本'])
def test_move(spool: Spool, name: str) -> None:
    """action = move: bytes, flags and marks go along; what is not due stays."""
    mails = [mail("one"), mail("two"), mail("three", "bad")]
    spool.learned(*mails)
    spool.store("2", r"\Seen")
    with spool.dovecot.session(SPAM) as link:
        spool.dovecot.check(link.create(quoted(name)))
    name_there = name.replace('"', r'\"')
    spool.policy(f'retention {{ learned = 0s  action = move "{name_there}" }}\n')
    assert "2 expired (2 learned)" in spool.expire().out
    assert spool.left() == [3]
    assert list(spool.dovecot.messages(SPAM, name).values()) == mails[:2]
    flags = list(spool.dovecot.flags(SPAM, name).values())
    assert r"\Seen" in flags[1] and all("$LearnedSpam" in names for names in flags)


def test_a_missing_target_loses_nothing(spool: Spool) -> None:
    """One line that names the mailbox, and nothing is lost; once it is there, they go."""
    spool.learned(mail("one"), mail("two"))
    spool.policy('retention { learned = 0s  action = move "Nowhere" }\n')
    done = spool.expire(rc=78)
    assert done.err.count("\n") == 1 and 'cannot move mail to "Nowhere"' in done.err
    assert spool.left() == [1, 2]
    assert not {DELETED} & set.union(*spool.dovecot.flags(SPAM).values())
    with spool.dovecot.session(SPAM) as link:
        spool.dovecot.check(link.create("Nowhere"))
    assert "2 expired" in spool.expire().out
    assert spool.left() == [] and spool.left("Nowhere") == [1, 2]


# ---- servers that have less ----

class Poor(Proxy):
    """A Dovecot that does not offer everything: these words are taken out of what it says."""

    def __init__(self, dovecot: Dovecot, *words: str) -> None:
        self.missing = [f" {word}".encode() for word in words]
        super().__init__(dovecot.port, tls=dovecot._tls())

    def _carry(self, stream: bytes, new: int, sink: socket.socket, up: bool) -> None:
        data = stream[-new:]
        if not up and b"CAPABILITY" in data:
            for word in self.missing:
                data = data.replace(word, b"")
        sink.sendall(data)


def test_without_uidplus_nothing_is_deleted(spool: Spool) -> None:
    """Refused, with the cure; where the configuration allows it, an EXPUNGE is used, but not
    while it would take messages that somebody else marked."""
    spool.learned(*(mail(str(n)) for n in range(4)))
    with Poor(spool.dovecot, "UIDPLUS", "MOVE") as proxy:
        poor = Link(spool.dovecot, proxy)
        configure(spool.program, poor, spool.rspamd, top=AT_ONCE)
        done = spool.program("expire")
        assert done.rc == 78 and done.err.count("\n") == 1
        assert "no UIDPLUS" in done.err and "without-uidplus = true" in done.err
        assert spool.left() == [1, 2, 3, 4]
        assert not {DELETED} & set.union(*spool.dovecot.flags(SPAM).values())
        assert set(spool.states().values()) == {"marked"}
        dry = spool.program("expire", "--dry-run")
        assert dry.rc == 78 and dry.out.startswith("would expire 0 ")

        spool.store("2", DELETED)
        allowed = AT_ONCE.replace("}", "without-uidplus = true }")
        configure(spool.program, poor, spool.rspamd, top=allowed)
        done = spool.program("expire")
        assert done.rc == 75 and done.err.count("\n") == 1 and "somebody else" in done.err
        assert spool.left() == [1, 2, 3, 4]

        spool.store("2", DELETED, "-")
        assert "4 expired" in spool.expire().out and spool.left() == []


@pytest.mark.parametrize("missing", [("MOVE",), ("MOVE", "UIDPLUS")])
def test_without_move_it_copies(spool: Spool, missing: tuple[str, ...]) -> None:
    """COPY, and then the same as for deleting: only our messages go."""
    mails = [mail("one"), mail("two"), mail("three")]
    spool.learned(*mails)
    spool.store("3", FLAGGED)
    with spool.dovecot.session(SPAM) as link:
        spool.dovecot.check(link.create("Archive"))
    with Poor(spool.dovecot, *missing) as proxy:
        configure(spool.program, Link(spool.dovecot, proxy), spool.rspamd,
                  top='retention { learned = 0s  action = move "Archive" '
                      f'without-uidplus = {"true" if len(missing) > 1 else "false"} }}\n')
        assert "2 expired" in spool.expire().out
    assert spool.left() == [3]
    assert list(spool.dovecot.messages(SPAM, "Archive").values()) == mails[:2]
    assert not {DELETED} & set.union(*spool.dovecot.flags(SPAM, "Archive").values())


def test_move_needs_no_uidplus(spool: Spool) -> None:
    """MOVE takes exactly our messages by itself."""
    spool.learned(mail("one"))
    with spool.dovecot.session(SPAM) as link:
        spool.dovecot.check(link.create("Archive"))
    with Poor(spool.dovecot, "UIDPLUS") as proxy:
        configure(spool.program, Link(spool.dovecot, proxy), spool.rspamd,
                  top='retention { learned = 0s  action = move "Archive" }\n')
        assert "1 expired" in spool.expire().out
    assert spool.left() == [] and spool.left("Archive") == [1]


def test_a_mailbox_that_may_only_be_read(program: Program, rspamd: FakeController,
                                         authority: Authority, server_folder: Path) -> None:
    """An ACL took the right to delete away, whereupon Dovecot says OK to STORE and EXPUNGE, and
    does nothing: it is found out before; one line, which the dry run and check have as well;
    nothing is called expired, and the neighbour's mail goes."""
    acl = ("""
mail_plugins = acl
protocol imap {
	mail_plugins = $mail_plugins imap_acl
}
plugin {
	acl = vfile
}
""" if dovecot_version() < (2, 4) else """
mail_plugins {
	acl = yes
}
protocol imap {
	mail_plugins {
		imap_acl = yes
	}
}
acl_driver = vfile
""")
    dovecot = Dovecot(server_folder, authority, extra=acl)
    dovecot.add_user(SPAM)
    dovecot.start()
    try:
        spool = Spool(dovecot, program, rspamd, authority)
        spool.learned(mail("one"), mailbox="Closed")
        spool.learned(mail("two"))
        (dovecot.home(SPAM) / "mail" / ".Closed" / "dovecot-acl").write_text("owner lrs\n")
        spool.policy(AT_ONCE, {SPAM: f'mailbox "Closed" {{ class = spam }}\n{BOX}'})
        cure = "mailbox Closed: this account has no right to delete messages there; give it"
        dry = spool.program("expire", "--dry-run")
        assert dry.rc == 78 and cure in dry.err and "would expire 1 " in dry.out
        assert cure in spool.program("check").out
        done = spool.program("expire")
        assert done.rc == 78 and done.err.count("\n") == 1, done
        assert cure in done.err
        assert "expired 1 (1 learned)" in done.out
        assert spool.left("Closed") == [1] and spool.left() == []
        assert len(spool.states()) == 1
    finally:
        dovecot.stop()


# ---- connections that break ----

CUTS = {
    "before STORE": Fault("cut", rb"L\d+ UID STORE", up=True, before=True),
    "after STORE": Fault("cut", rb"L\d+ UID STORE[^\n]*\n", up=True),
    "before EXPUNGE": Fault("cut", rb"L\d+ UID EXPUNGE", up=True, before=True),
    "in EXPUNGE": Fault("reset", rb"L\d+ UID EXPUNGE 1", up=True),
    "after EXPUNGE": Fault("cut", rb"L\d+ UID EXPUNGE[^\n]*\n", up=True),
    "before EXPUNGE is done": Fault("cut", rb"OK Expunge", before=True),
}


def test_a_cut_is_mended_in_the_same_run(spool: Spool) -> None:
    """Wherever the connection breaks, it is made again, and the work goes on: what is due is
    gone, what is not is there, and what others marked meanwhile stays."""
    for number, (name, fault) in enumerate(CUTS.items()):
        box = f"Cut {number}"
        spool.learned(*(mail(f"{name} {n}") for n in range(3)), mail(name, "bad"), mailbox=box)
        with spool.dovecot.session(SPAM, box) as link:
            spool.dovecot.check(link.uid("STORE", "4", "+FLAGS", f"({DELETED})"))
        with Proxy(spool.dovecot.port, fault, spool.dovecot._tls()) as proxy:
            configure(spool.program, Link(spool.dovecot, proxy), spool.rspamd, top=AT_ONCE,
                      mailboxes=f'mailbox "{box}" {{ class = spam }}')
            done = spool.expire()
            assert proxy.happened == 1, name
        assert spool.left(box) == [4] and "connecting again" in done.err, (name, done)
        assert set(spool.states().values()) == {"pending"}, name


def test_a_cut_run_is_finished_by_the_next(spool: Spool) -> None:
    """Every connection breaks between STORE and EXPUNGE: 75, the ledger says what was being
    removed, and the next run removes it; what others deleted meanwhile stays."""
    spool.learned(mail("one"), mail("two"), mail("three", "bad"))
    fault = replace(CUTS["before EXPUNGE"], times=99)
    with Proxy(spool.dovecot.port, fault, spool.dovecot._tls()) as proxy:
        configure(spool.program, Link(spool.dovecot, proxy), spool.rspamd, top=AT_ONCE)
        done = spool.expire("--json", rc=75)
        assert done.event("summary")["expired"] == 0
    assert [uid for uid, flags in spool.dovecot.flags(SPAM).items() if DELETED in flags] == [1, 2]
    assert spool.states() == {1: "purging", 2: "purging", 3: "pending"}
    spool.store("3", DELETED)
    spool.policy(AT_ONCE)
    assert "2 expired (2 learned)" in spool.expire().out
    assert spool.left() == [3] and spool.states() == {3: "pending"}


def test_a_signal_ends_it_in_order(spool: Spool) -> None:
    """SIGTERM: what is under way is finished and recorded, exit 143; the next run does the rest."""
    spool.learned(mail("one"))
    spool.learned(mail("two"), user=HAM)
    fault = Fault("delay", rb"OK Expunge", before=True)
    with Proxy(spool.dovecot.port, fault, spool.dovecot._tls()) as proxy:
        spool.program.configure(Rig(spool.rspamd, Link(spool.dovecot, proxy), spool.rig.authority),
                                {SPAM: BOX, HAM: BOX}, account="insecure = true", top=AT_ONCE)
        run = spool.program.start("expire")
        wait_until(lambda: proxy.happened == 1, 20, "the first mailbox is being expunged")
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=20)
    assert run.returncode == 143 and err.count(b"\n") == 1
    assert spool.left() == [] and spool.left(user=HAM) == [1] and len(spool.states()) == 1
    spool.policy(AT_ONCE, {SPAM: BOX, HAM: BOX})
    assert "expired 1 (1 learned)" in spool.expire().out and spool.left(user=HAM) == []


# ---- the ledger's own horizon ----

def contents(program: Program) -> int:
    return sum(event["event"] == "digest" for event in program("ledger", "list", "--json").events)


def test_the_ledger_forgets_a_bounded_part_a_run(spool: Spool) -> None:
    """Contents older than the horizon, 20,000 records a run, so that a run stays short; younger
    ones never, and never what is known of a message that is there."""
    spool.learned(mail("one"), mail("two"))
    with LedgerFile(spool.program.ledger, "digest") as ledger:
        value = older(next(iter(ledger.records().values())), "digest", 401 * DAY)
        ledger.put({hashlib.sha256(str(n).encode()).digest(): value for n in range(45_000)})
    spool.policy("")  # the horizon holds also without a retention block
    found = [contents(spool.program)]
    for _ in range(4):
        spool.expire()
        found.append(contents(spool.program))
    assert found[0] == 45_002 and found[-1] == 2
    assert all(0 <= before - after <= 20_000 for before, after in zip(found, found[1:])), found
    backdate(spool.program.ledger, 401 * DAY)
    spool.expire("--dry-run")
    assert contents(spool.program) == 2 and spool.states() != {}
    spool.expire()
    assert contents(spool.program) == 0 and len(spool.states()) == 2 and spool.left() == [1, 2]


def test_the_ledgers_file_stays_bounded(spool: Spool) -> None:
    """Fill, expire and forget, over and over: the file stops growing."""
    sizes = []
    for cycle in range(6):
        spool.dovecot.append_many(SPAM, "INBOX", [mail(f"{cycle} {n}") for n in range(250)])
        spool.policy("retention { learned = 0s  forget = 1s }\n")
        spool.expire(command="run")
        assert spool.left() == []
        backdate(spool.program.ledger, 2)
        spool.expire()
        assert contents(spool.program) == 0
        sizes.append((spool.program.ledger / "data.mdb").stat().st_size)
    print("data.mdb after each cycle:", sizes)
    assert sizes[-1] <= sizes[1] * 1.2, sizes
