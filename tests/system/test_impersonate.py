"""Users' own mailboxes by one administrator's log-in: what people decided is learned, and nothing
else; on a real Dovecot with a master user, a real rspamd and a real client's moves."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import corpus
from program import ROOT, Program, Result, secret_file
from servers import Stack, crlf, dovecot_version, quoted
from test_crash import Trial, difference, fault_binary, messages_in_flight  # noqa: F401
from test_watch import wait_learned
from watching import watching

MASTER = "learn"
ALICE, BOB, CAROL = (f"{name}@example.org" for name in ("alice", "bob", "carol"))
USERS = (ALICE, BOB, CAROL)
MANY = [f"user{n:02}@example.org" for n in range(60)]
NOBODY = MANY[5:45:2]  # the server has no such users
FILED = b"X-Spam: Yes\n"

# A user of the server's who may log in as any other: "alice@example.org*learn".
MASTER_23 = """
auth_master_user_separator = *
passdb {{
	driver = passwd-file
	args = scheme=PLAIN username_format=%u {file}
	master = yes
	result_success = continue
}}
"""
MASTER_24 = """
auth_master_user_separator = *
passdb master {{
	driver = passwd-file
	default_password_scheme = PLAIN
	auth_username_format = %{{user}}
	passwd_file_path = {file}
	master = yes
	result_success = continue
}}
"""


@pytest.fixture(scope="module")
def module_stack() -> Iterator[Stack]:
    stack = Stack(users=[*USERS, *(user for user in MANY if user not in NOBODY)])
    file = stack.folder / "masters"
    file.write_text(f"{MASTER}:mastersecret\n")
    file.chmod(0o644)
    text = MASTER_24 if dovecot_version() >= (2, 4) else MASTER_23
    stack.dovecot.extra = text.format(file=file)
    with stack:
        yield stack


@pytest.fixture
def stack(module_stack: Stack) -> Stack:
    module_stack.clean()
    return module_stack


def configure(program: Program, stack: Stack, users: Iterable[str] = USERS, *, lines: str = "",
              top: str = "", boxes: str = "") -> Path:
    """The block for these users; lines are more lines of it."""
    listed = program.folder / "users"
    listed.write_text("# of the test\n" + "".join(f"{user}\n" for user in users))
    listed.chmod(0o644)
    secret_file(program.folder / "rspamd.password", stack.rspamd.password + "\n")
    secret_file(program.folder / "learn.password", "mastersecret\n")
    boxes = boxes or ('mailbox "\\\\Junk" { class = spam }\n'
                      '    mailbox "INBOX" { class = ham }')
    return secret_file(program.config, f"""\
rspamd {{ url = "{stack.rspamd.url}"  password-file = "{program.folder}/rspamd.password" }}
ledger = "{program.ledger}"
impersonate "dovecot" {{
    url = "{stack.dovecot.url()}"
    ca-file = "{stack.authority.cert}"
    user = "%u*{MASTER}"
    password-file = "{program.folder}/learn.password"
    users-file = "{listed}"
    {lines}
    {boxes}
}}
{top}""")


def good(done: Result) -> Result:
    assert done.rc == 0 and done.err == "", done
    return done


def learned(done: Result) -> tuple[int, int]:
    """Spam and ham that the summary says were learned."""
    found = re.search(r"^(?:would learn|learned) \d+ \(spam (\d+), ham (\d+)\)", done.out, re.M)
    assert found, done
    return int(found[1]), int(found[2])


def undecided(done: Result) -> int:
    found = re.search(r"skipped \d+ \((\d+) not decided by a user\)", done.out)
    return int(found[1]) if found else 0


def outcomes(done: Result) -> dict[str, int]:
    return {name: n for name, n in done.event("summary")["outcomes"].items() if n}


class Mail:
    """Messages that are told apart by a subject, of texts that rspamd knows again."""

    def __init__(self) -> None:
        self.texts = iter(corpus.short(corpus.spam() + corpus.ham(), 60))

    def __call__(self, subject: str, more: bytes = b"") -> bytes:
        body = next(self.texts).partition(b"\n\n")[2]
        return (b"From: a@example.com\nTo: b@example.org\nSubject: " + subject.encode() + b"\n"
                + more + b"Message-ID: <" + subject.encode() + b"@example.com>\n\n" + body)


def deliver(stack: Stack, user: str, mailbox: str, *mails: bytes) -> None:
    """As old mail: INTERNALDATE tells one from another, as a rule."""
    start = time.time() - 86400
    stack.dovecot.append_many(user, mailbox, [(raw, (), start + 7 * n)
                                              for n, raw in enumerate(mails)])


def uid_of(link: object, subject: str) -> bytes:
    found = link.uid("SEARCH", "SUBJECT", subject)[1][0].split()  # type: ignore[attr-defined]
    assert len(found) == 1, (subject, found)
    return bytes(found[0])


def move(stack: Stack, user: str, mailbox: str, to: str, *subjects: str, how: str = "MOVE") -> None:
    """As a mail client does."""
    with stack.dovecot.session(user, mailbox) as link:
        for subject in subjects:
            stack.dovecot.check(link.uid(how, uid_of(link, subject).decode(), quoted(to)))


def flag(stack: Stack, user: str, mailbox: str, subject: str, flags: str) -> None:
    with stack.dovecot.session(user, mailbox) as link:
        stack.dovecot.check(link.uid("STORE", uid_of(link, subject).decode(), "+FLAGS",
                                     f"({flags})"))


def everything(stack: Stack, user: str) -> dict[str, list[tuple[int, frozenset[str]]]]:
    return {box: sorted((uid, frozenset(flags))
                        for uid, flags in stack.dovecot.flags(user, box).items())
            for box in ("INBOX", "Junk")}


def test_only_what_a_person_decided_is_learned(stack: Stack, program: Program) -> None:
    mail = Mail()
    deliver(stack, ALICE, "INBOX", *(mail(f"inbox{n}") for n in range(8)))
    deliver(stack, ALICE, "Junk", *(mail(f"filed{n}", FILED) for n in range(3)))
    deliver(stack, BOB, "INBOX", *(mail(f"inbox{n}") for n in range(2)))
    configure(program, stack)
    before = [everything(stack, user) for user in USERS]

    # Nobody has decided anything.
    dry = good(program("run", "--dry-run"))
    assert learned(dry) == (0, 0) and undecided(dry) == 13
    assert len(re.findall(r"^skip.*a filter filed it there$", dry.out, re.M)) == 3, dry.out
    assert len(re.findall(r"^skip.*it did not come out of a spam folder$", dry.out, re.M)) == 10
    done = good(program("run"))
    assert learned(done) == (0, 0) and undecided(done) == 13, done
    assert f"{ALICE} \\Junk: 3 not decided by a user" in done.out, done
    assert f"{ALICE} INBOX: 8 not decided by a user" in done.out, done
    assert stack.rspamd.learns() == (0, 0)
    assert [everything(stack, user) for user in USERS] == before
    done = good(program("run"))
    assert undecided(done) == 0 and learned(done) == (0, 0)

    # Alice takes two into Junk, one out of it, and flags one; Bob takes one into Junk.
    move(stack, ALICE, "INBOX", "Junk", "inbox0")
    move(stack, ALICE, "INBOX", "Junk", "inbox1", how="COPY")
    flag(stack, ALICE, "INBOX", "inbox1", "\\Deleted")
    move(stack, ALICE, "Junk", "INBOX", "filed0")
    flag(stack, ALICE, "INBOX", "inbox2", "$NotJunk")
    move(stack, BOB, "INBOX", "Junk", "inbox0")
    moved = [everything(stack, user) for user in USERS]
    assert learned(good(program("run", "--dry-run"))) == (3, 2)
    done = good(program("run"))
    assert learned(done) == (3, 2), done
    assert stack.rspamd.learns() == (3, 2)
    assert [everything(stack, user) for user in USERS] == moved
    good(program("run"))
    assert stack.rspamd.learns() == (3, 2)

    # She was wrong about one, about the one that the filter had filed, and Bob copies his back.
    move(stack, ALICE, "Junk", "INBOX", "inbox0")
    move(stack, ALICE, "INBOX", "Junk", "filed0")
    move(stack, BOB, "Junk", "INBOX", "inbox0", how="COPY")
    time.sleep(1)  # a later verdict is one of a later second
    done = good(program("run"))
    assert learned(done) == (1, 2), done
    assert "3 of them changed class" in done.out
    assert stack.rspamd.learns() == (2, 3)
    good(program("run"))
    assert stack.rspamd.learns() == (2, 3)

    stats = program("stats", "--json").event("stats")
    assert stats["done"]["undecided"] == 9, stats
    assert good(program("ledger", "verify"))


def test_which_way_a_copy_went(stack: Stack, program: Program) -> None:
    """Copied into Junk, and still in the INBOX, maybe to be expunged: that is spam, also where one
    run sees both for the first time."""
    mail = Mail()
    configure(program, stack)
    deliver(stack, ALICE, "INBOX", mail("one"), mail("two"))
    move(stack, ALICE, "INBOX", "Junk", "one", "two", how="COPY")
    flag(stack, ALICE, "INBOX", "two", "\\Deleted")
    done = good(program("run"))
    assert learned(done) == (2, 0) and undecided(done) == 2, done
    good(program("run"))
    assert stack.rspamd.learns() == (2, 0)
    # And back, the other way round: the copy in the INBOX is the newer decision.
    flag(stack, ALICE, "INBOX", "one", "\\Deleted")
    with stack.dovecot.session(ALICE, "INBOX") as link:
        link.expunge()
    time.sleep(1)
    move(stack, ALICE, "Junk", "INBOX", "one", how="COPY")
    done = good(program("run"))
    assert learned(done) == (0, 1), done
    assert stack.rspamd.learns() == (1, 1)


def test_a_filter_that_files_nothing(stack: Stack, program: Program) -> None:
    """Its mark in an INBOX is no decision where it never filed anything, and one where it did."""
    mail = Mail()
    deliver(stack, ALICE, "INBOX", mail("one", FILED), mail("two"))
    deliver(stack, BOB, "Junk", mail("filed", FILED))
    deliver(stack, BOB, "INBOX", mail("three", FILED), mail("four"))
    configure(program, stack)
    done = good(program("run", "--json"))
    assert outcomes(done) == {"learned": 1, "undecided": 4}, done
    assert stack.rspamd.learns() == (0, 1)
    messages = [event for event in done.events if event["event"] == "message"]
    by_reason = {(event["account"], event["uid"]): (event["outcome"], event["reason"])
                 for event in messages if event["mailbox"] == "INBOX"}
    assert by_reason[(ALICE, 1)] == ("undecided", "it did not come out of a spam folder")
    assert by_reason[(BOB, 1)] == ("learned", None)


def test_alike_is_not_the_same(stack: Stack, program: Program) -> None:
    """A message of the size and second of one in Junk is fetched, and not learned."""
    mail = Mail()
    when = time.time() - 86400
    spam, other = (crlf(mail(subject)) for subject in ("spam", "ham!"))
    longest = max(len(spam), len(other))
    spam, other = (raw[:-2] + b"x" * (longest - len(raw)) + b"\r\n" for raw in (spam, other))
    stack.dovecot.append(ALICE, "Junk", spam, internaldate=when)
    configure(program, stack)
    good(program("run"))
    stack.dovecot.append(ALICE, "INBOX", other, internaldate=when)
    done = good(program("run", "--json"))
    assert outcomes(done) == {"undecided": 1}, done
    reasons = {event["mailbox"]: event["reason"] for event in done.events
               if event["event"] == "message"}
    assert reasons["INBOX"] == "it only looks like one that was moved"
    assert stack.rspamd.learns() == (1, 0)


def test_marks_where_they_are_wanted(stack: Stack, program: Program) -> None:
    mail = Mail()
    deliver(stack, ALICE, "INBOX", mail("inbox0"), mail("inbox1"))
    deliver(stack, ALICE, "Junk", mail("junk"), mail("filed", FILED))
    configure(program, stack, [ALICE], lines="mark = true")
    good(program("run"))
    flags = stack.dovecot.flags(ALICE, "Junk")
    assert flags == {1: {"$LearnedSpam"}, 2: set()}, flags
    assert stack.dovecot.flags(ALICE, "INBOX") == {1: set(), 2: set()}


def test_an_account_block_may_ask_for_decisions(stack: Stack, program: Program) -> None:
    mail = Mail()
    deliver(stack, ALICE, "INBOX", mail("inbox0"))
    deliver(stack, ALICE, "Junk", mail("junk"), mail("filed", FILED))
    password = secret_file(program.folder / "alice.password", "secret\n")
    configure(program, stack, [BOB], top=f"""
account "{ALICE}" {{
    url = "{stack.dovecot.url()}"
    ca-file = "{stack.authority.cert}"
    password-file = "{password}"
    keep = true
    decided = true
    mailbox "\\\\Junk" {{ class = spam }}
    mailbox "INBOX" {{ class = ham }}
}}
""")
    done = good(program("run"))
    assert learned(done) == (1, 0) and undecided(done) == 2
    assert stack.dovecot.flags(ALICE, "Junk") == {1: {"$LearnedSpam"}, 2: set()}


def test_one_users_trouble_is_no_others(stack: Stack, program: Program) -> None:
    """Of 60 users 20 cannot be logged in and 5 have a mailbox that cannot be opened: each of these
    is named once, and all the others are learned from."""
    broken = MANY[46:56:2]
    fine = [user for user in MANY if user not in NOBODY + broken]
    mail = Mail()
    for user in broken:
        deliver(stack, user, "Junk", b"Subject: lost\n\nlost\n")
        folder = stack.dovecot.home(user) / "mail" / ".Junk" / "cur"
        folder.rename(folder.with_name("gone"))
        folder.write_text("not a folder")
    for user in fine:
        deliver(stack, user, "Junk", mail(user))
    configure(program, stack, MANY, boxes='mailbox "Junk" { class = spam }')
    done = program("run")
    assert done.rc == 77, done  # that of the first error: a log-in that was refused
    named = re.findall(r"^learnspool: account ([^:]*):", done.err, re.M)
    assert sorted(named) == sorted(NOBODY + broken), done.err
    assert learned(done) == (len(fine), 0)
    assert stack.rspamd.learns() == (len(fine), 0)


def test_the_example_as_shipped(stack: Stack, program: Program) -> None:
    """conf/many-users.conf, with only the names of machines and files changed."""
    mail = Mail()
    deliver(stack, ALICE, "Junk", mail("junk"), mail("filed", FILED))
    deliver(stack, ALICE, "INBOX", mail("inbox"))
    configure(program, stack, [ALICE, BOB])
    text = (ROOT / "conf" / "many-users.conf").read_text()
    for name in ("carol.password", "dave.password"):
        secret_file(program.folder / name, "secret\n")
    text = text.replace("/etc/learnspool", str(program.folder))
    text = text.replace("http://127.0.0.1:11334", stack.rspamd.url)
    text = re.sub(r'url = "imaps://[^"]*"',
                  f'url = "{stack.dovecot.url()}" ca-file = "{stack.authority.cert}"', text)
    secret_file(program.config, f'ledger = "{program.ledger}"\n{text}')
    done = good(program("run", "--account", ALICE, "--account", BOB))
    assert learned(done) == (1, 0) and undecided(done) == 2
    move(stack, ALICE, "Junk", "INBOX", "filed")
    done = good(program("run", "--account", ALICE, "--account", BOB))
    assert learned(done) == (0, 1) and stack.rspamd.learns() == (1, 1)


def test_a_command_lists_the_users(stack: Stack, program: Program) -> None:
    """doveadm's, as documented; it runs as who owns the ledger."""
    mail = Mail()
    deliver(stack, ALICE, "Junk", mail("junk"))
    conf = configure(program, stack, lines="")
    text = conf.read_text()
    users = f"doveadm -c {stack.dovecot.folder}/dovecot.conf user '*@example.org'"
    asked = program.folder / "asked"
    conf.write_text(re.sub(r'users-file = ".*"',
                           f'users-command = "id -u >>{asked}; {users}"', text))
    done = good(program("run", "--account", ALICE))
    assert learned(done) == (1, 0)
    assert asked.read_text().split() == [str(program.ledger.stat().st_uid)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_gives_the_command_no_rights(program: Program, folder: Path) -> None:
    there = folder / "ledger"
    there.mkdir(mode=0o700)
    os.chown(there, 65534, 65534)
    secret_file(folder / "password", "secret\n")
    os.chown(folder / "password", 65534, 65534)
    asked = folder / "asked"
    asked.touch()
    asked.chmod(0o666)
    secret_file(program.config, f"""\
ledger = "{there}"
impersonate "x" {{
    url = "imaps://127.0.0.1:1"
    user = "%u*{MASTER}"
    password-file = "{folder}/password"
    users-command = "id -u >{asked}; echo {ALICE}"
    mailbox "INBOX" {{ class = ham }}
}}
""")
    done = program("ledger", "list")
    assert done.rc == 0 and asked.read_text() == "65534\n", (done, asked.read_text())


# ---- as long as it runs, and when it is killed ----

def test_watch_reads_the_list_again(stack: Stack, program: Program) -> None:
    """A user who is added to it is listened to after a reload; a bad list is refused with one line,
    and the old one stays. Moves are learned at once, and taken back."""
    mail = Mail()
    deliver(stack, ALICE, "INBOX", mail("one"))
    deliver(stack, BOB, "INBOX", mail("two"))
    configure(program, stack, [ALICE])
    with watching(program, accounts=1) as watch:
        move(stack, ALICE, "INBOX", "Junk", "one")
        wait_learned(stack, watch, 1, 0)
        listed = program.folder / "users"
        listed.write_text(f"{ALICE}\n{BOB} {CAROL}\n")
        watch.send(signal.SIGHUP)
        watch.wait_err("not reloaded, the old configuration stays")
        assert "users-file: line 2:" in watch.err and watch.err.count("\n") == 1
        listed.write_text(f"{ALICE}\n{BOB}\n")
        watch.send(signal.SIGHUP)
        watch.wait_ready(2)
        move(stack, BOB, "INBOX", "Junk", "two")
        wait_learned(stack, watch, 2, 0)
        time.sleep(1)
        move(stack, ALICE, "Junk", "INBOX", "one")
        wait_learned(stack, watch, 1, 1)
        assert watch.err.count("\n") == 1, watch.err


class Moves(Trial):
    """A run after users have changed their minds; begin() brings it about, with a run before."""

    def begin(self) -> None:
        self.stack.clean()
        shutil.rmtree(self.program.ledger)
        self.program.ledger.mkdir()
        mail = Mail()
        deliver(self.stack, ALICE, "INBOX", *(mail(f"inbox{n}") for n in range(6)))
        deliver(self.stack, ALICE, "Junk", *(mail(f"filed{n}", FILED) for n in range(3)),
                *(mail(f"junk{n}") for n in range(4)))
        self.run()
        move(self.stack, ALICE, "Junk", "INBOX", "filed0", "junk0", "junk1")
        move(self.stack, ALICE, "INBOX", "Junk", "inbox0", "inbox1")
        flag(self.stack, ALICE, "INBOX", "inbox2", "$NotJunk")
        self.log.unlink(missing_ok=True)


def test_kill_at_many_steps(stack: Stack, program: Program,
                            fault_binary: Path) -> None:  # noqa: F811
    """At every third step, of a run that learns both ways."""
    conf = configure(program, stack, [ALICE])
    conf.write_text(conf.read_text().replace("rspamd {", "rspamd { connections = 2 "))
    trial = Moves(stack, program, fault_binary, ("run",))

    def end() -> tuple[list[tuple[object, ...]], dict[str, object]]:
        assert trial.run() == 0  # records of what was moved away go with the run after
        same = {"learned": "known"}
        return (sorted((m["mailbox"], m["uid"], m["class"], m["state"], m["digest"],
                        same.get(str(m["outcome"]), m["outcome"]))
                       for m in trial.ledger("messages")), dict(everything(stack, ALICE)))

    trial.begin()
    trial.run()
    wanted, counters = end(), stack.rspamd.learns()
    assert counters == (4, 4)
    for at in range(1, 1000, 3):
        trial.begin()
        if trial.run(kill_at=at) == 0:
            break
        in_flight = messages_in_flight(trial.steps())
        where = f"killed at step {at}, {trial.steps()[-1]}"
        stack.rspamd.wait_quiet()
        assert trial.run() == 0, where
        assert difference(stack.rspamd.learns(), counters) <= 2 * in_flight, where
        assert end() == wanted, where
    assert at > 15
