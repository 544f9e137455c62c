"""learn --class C PATH: files, folders, Maildirs and mboxes, for a first training."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import corpus
from fakes import LEARNED, FakeController, FakeImap, Message, Reply, Request, configure, http
from program import Program, binary, environment
from servers import Stack, crlf, temporary_folder

SPAM = [raw for raw in corpus.short(corpus.spam(), 8)]


class Nobody:
    """In place of a mail server: files need none."""

    passwords = {"spam@example.org": "x", "ham@example.org": "x"}

    def url(self, starttls: bool = False) -> str:
        return "imaps://localhost:1"


def maildir(folder: Path, mails: list[bytes], read: int = 2) -> Path:
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    for n, raw in enumerate(mails):
        name = folder / ("cur" if n < read else "new") / f"1700000000.M{n}.host"
        (Path(f"{name}:2,S") if n < read else name).write_bytes(raw)
    (folder / "tmp" / "half").write_bytes(b"Subject: half\n\nnot yet")
    (folder / "dovecot-uidlist").write_text("3 V1 N4\n")
    (folder / ".Sent" / "cur").mkdir(parents=True)
    (folder / ".Sent" / "new").mkdir()
    (folder / ".Sent" / "cur" / "mine").write_bytes(b"Subject: mine\n\nmy own words\n")
    return folder


def mbox(path: Path, mails: list[bytes]) -> Path:
    text = b""
    for raw in mails:
        quoted = b"".join(b">" + line if line.lstrip(b">").startswith(b"From ") else line
                          for line in raw.splitlines(keepends=True))
        text += b"From alice@example.org Thu Nov 26 10:59:00 2026\n" + quoted + b"\n"
    path.write_bytes(text)
    return path


@pytest.fixture
def place(program: Program) -> Path:
    folder = program.folder / "mail"
    folder.mkdir()
    return folder


def bodies(rspamd: FakeController) -> list[bytes]:
    return sorted(request.body for request in rspamd.learns)


def test_each_kind_on_a_real_rspamd(stack: Stack, program: Program, place: Path) -> None:
    """rspamd's own counters are the summary's; another run, and the same mail by IMAP, teach
    nothing twice."""
    (place / "one.eml").write_bytes(SPAM[0])
    maildir(place / "Maildir", SPAM[1:5])
    mbox(place / "old.mbox", SPAM[5:8])
    program.configure(stack)
    dry = program("learn", "--class", "spam", place, "--dry-run")
    assert dry.rc == 0 and stack.rspamd.learns() == (0, 0)
    lines = [line for line in dry.out.splitlines() if line.startswith("learn ")]
    assert len(lines) == 8 and sum("old.mbox#" in line for line in lines) == 3
    assert all("digest=" in line and 'file="' in line for line in lines)
    done = program("learn", "--class", "spam", place)
    assert (done.rc, done.err) == (0, "") and "learned 8 (spam 8, ham 0)" in done.out
    assert stack.rspamd.learns() == (8, 0)
    again = program("learn", "--class", "spam", place)
    assert again.rc == 0 and "known 8" in again.out and stack.rspamd.learns() == (8, 0)
    stack.dovecot.append_many("spam@example.org", "INBOX", [crlf(raw) for raw in SPAM])
    assert "known 8" in program("learn").out and stack.rspamd.learns() == (8, 0)


def test_what_counts_in_a_folder(rspamd: FakeController, program: Program, place: Path) -> None:
    """Not: what is hidden, a Maildir's tmp and own files, links, devices; these are named."""
    configure(program, Nobody(), rspamd)
    box = maildir(place / "Maildir", [b"Subject: a\n\na\n", b"Subject: b\n\nb\n",
                                      b"Subject: c\n\nc\n"])
    (place / ".hidden").write_bytes(b"Subject: h\n\nh\n")
    (place / "deep" / "er").mkdir(parents=True)
    (place / "deep" / "er" / b"-\n\xff .eml".decode("utf-8", "surrogateescape")).write_bytes(
        b"Subject: d\n\nd\n")
    (place / "link").symlink_to(box / "tmp" / "half")
    (place / "folder").symlink_to(box)
    os.mkfifo(place / "fifo")
    done = program("learn", "--class", "ham", place)
    assert done.rc == 0
    assert bodies(rspamd) == [b"Subject: %s\n\n%s\n" % (c, c) for c in (b"a", b"b", b"c", b"d")]
    assert {line.rsplit("/", 1)[1] for line in done.err.splitlines()} == {
        "link: a symbolic link; left out", "folder: a symbolic link; left out",
        "fifo: not a regular file; left out"}


def test_a_mbox_is_read_as_it_was_written(rspamd: FakeController, program: Program,
                                          place: Path) -> None:
    """Quoting is undone, Content-Length ignored, and "From " in a text separates nothing."""
    configure(program, Nobody(), rspamd)
    mails = [b"Subject: 1\nContent-Length: 3\n\nFrom here on\n>From quoted\n\nend\n",
             b"Subject: 2\n\n\n\nFrom now on, without a time\n",
             b"Subject: 3\n\n>>From twice\nno blank line\n"]
    mbox(place / "box", mails)
    done = program("learn", "--class", "spam", place / "box")
    assert done.rc == 0 and bodies(rspamd) == mails


def test_files_need_no_account_and_bring_bulk(rspamd: FakeController, program: Program,
                                              place: Path) -> None:
    configure(program, Nobody(), rspamd, mailboxes='mailbox "INBOX" { class = spam }')
    (place / "a").write_bytes(b"Subject: a\n\na\n")
    (place / "b").write_bytes(b"Subject: b\n\nb\n")
    assert program("learn", "--class", "spam", place / "a").rc == 0
    assert program("learn", "--class", "spam", "--guard", place / "b").rc == 0
    assert [r.headers.get("learn-type") for r in rspamd.learns] == ["bulk", None]


def test_one_bad_path_does_not_stop_the_others(rspamd: FakeController, program: Program,
                                               place: Path) -> None:
    configure(program, Nobody(), rspamd)
    (place / "good").write_bytes(b"Subject: g\n\ng\n")
    done = program("learn", "--class", "spam", place / "missing", place / "good", "/dev/null")
    assert done.rc == 78 and len(rspamd.learns) == 1
    assert "missing: No such file or directory" in done.err
    assert "/dev/null: neither a file nor a folder" in done.err


def test_too_large_and_unreadable_are_told(rspamd: FakeController, program: Program,
                                           place: Path) -> None:
    configure(program, Nobody(), rspamd, top="max-size = 1K\n")
    (place / "large").write_bytes(b"Subject: l\n\n" + b"x" * 1013)
    (place / "fits").write_bytes(b"Subject: f\n\n" + b"x" * 1012)
    mbox(place / "mbox", [b"Subject: m\n\n" + b"y" * 2000 + b"\n", b"Subject: n\n\nn\n"])
    done = program("learn", "--class", "spam", place, "-v")
    assert done.rc == 0 and len(rspamd.learns) == 2
    large = [line for line in done.out.splitlines() if line.startswith("large ")]
    assert sorted(line.split("\"")[1].rsplit("/", 1)[1] for line in large) == ["large", "mbox#1"]


def test_usage(program: Program, place: Path) -> None:
    for arguments in (["learn", str(place)], ["learn", "--class", "spam"],
                      ["learn", "--class", "junk", str(place)], ["learn", "--guard"],
                      ["learn", "--class", "spam", "--account", "a", str(place)],
                      ["run", "--class", "spam"]):
        done = subprocess.run([binary(), "--config", program.config, *arguments], text=True,
                              capture_output=True, env=environment(), check=False)
        assert done.returncode == 64 and done.stderr.count("\n") == 1, (arguments, done)


def test_interrupted_and_begun_again(rspamd: FakeController, program: Program,
                                     place: Path) -> None:
    """--max in place of the interruption: each run goes on where the one before was."""
    configure(program, Nobody(), rspamd)
    for n in range(25):
        (place / f"{n}").write_bytes(b"Subject: %d\n\n%d\n" % (n, n))
    assert program("learn", "--class", "spam", "--max", "10", place).rc == 0
    assert len(rspamd.learns) == 10
    done = program("learn", "--class", "spam", place)
    assert "learned 15" in done.out and "known 10" in done.out
    assert len(set(bodies(rspamd))) == len(bodies(rspamd)) == 25


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_root_reads_what_others_own(rspamd: FakeController) -> None:
    """As the owner of the ledger, which gets no file of root's, from folders that this owner may
    not read; and may do nothing else that root may."""
    folder = temporary_folder()
    try:
        program = Program(folder)
        configure(program, Nobody(), rspamd)
        (folder / "mail").mkdir(mode=0o700)
        (folder / "mail" / "a").write_bytes(b"Subject: a\n\na\n")
        for path in folder, program.ledger, *folder.glob("learnspool.conf"), \
                *folder.glob("*.password"):
            os.chown(path, 65534, 65534)
        done = program("learn", "--class", "spam", folder / "mail")
        assert done.rc == 0 and len(rspamd.learns) == 1, done
        assert {path.stat().st_uid for path in program.ledger.iterdir()} == {65534}
        (folder / "elsewhere").mkdir(mode=0o700)
        done = program("ledger", "backup", folder / "elsewhere" / "copy")
        assert done.rc != 0
    finally:
        shutil.rmtree(folder)


def test_a_folder_that_cannot_be_read_whole(rspamd: FakeController, program: Program,
                                            place: Path) -> None:
    """Too deep: named, and the rest is learned."""
    configure(program, Nobody(), rspamd)
    deep = place
    for _ in range(40):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "lost").write_bytes(b"Subject: lost\n\nlost\n")
    (place / "found").write_bytes(b"Subject: found\n\nfound\n")
    done = program("learn", "--class", "spam", place)
    assert done.rc == 0 and len(rspamd.learns) == 1
    assert "too many folders inside each other; left out" in done.err


def counts(spam: int, ham: int) -> bytes:
    """/stat of an rspamd that has learned so much."""
    statfiles = [{"symbol": f"BAYES_{name.upper()}", "type": "redis", "revision": n}
                 for name, n in (("spam", spam), ("ham", ham))]
    return http(200, "OK", json.dumps({"statfiles": statfiles}).encode())


@pytest.mark.parametrize("how", ["option", "key"])
def test_the_larger_class_is_held_back(program: Program, place: Path, how: str) -> None:
    """Up to twice the ham; one that rspamd does not learn takes no place; the rest stays for a
    time when there is more ham, and is told."""
    key = 'balance = "2:1"\n' if how == "key" else ""
    option = ["--balance", "2:1"] if how == "option" else []
    for n in range(30):
        subject = b"short" if n % 3 == 0 else b"long"
        (place / f"{n}").write_bytes(b"Subject: %s %d\n\n%d\n" % (subject, n, n))
    with FakeController() as rspamd:
        rspamd.stat, rspamd.answer = counts(395, 200), by_subject_or_learned
        configure(program, Nobody(), rspamd, top=key)
        done = program("learn", "--class", "spam", place, *option)
        assert done.rc == 0 and "held back" in done.out and " left " in done.out, done
        learned = [r for r in rspamd.learns if b"long" in r.body]
        assert len(learned) == 5 and "learned 5 " in done.out
        assert program("learn", "--class", "ham", place, *option, "--dry-run").rc == 0
        rspamd.stat = counts(400, 250)
        done = program("learn", "--class", "spam", place, *option)
        assert "learned 15 " in done.out and "held back" not in done.out


def by_subject_or_learned(request: Request) -> Reply:
    if b"Subject: short" in request.body:
        return http(204, "contains less tokens than required for bayes classifier: 3 < 11")
    return LEARNED


def test_the_balance_does_not_go_one_by_one(program: Program) -> None:
    """What is known takes no room; with room for little, messages come in batches as ever."""
    mails = [crlf(b"Subject: %d\n\nx\n" % (n % 2)) for n in range(300)]
    with FakeController(stat=counts(397, 200)) as rspamd, FakeImap(mails) as imap:
        configure(program, imap, rspamd, top='balance = "2:1"\n')
        done = program("learn")
        assert "2 learned, 298 known" in done.out and imap.count("UID FETCH") < 30


def test_the_same_path_again_warns_of_no_server(rspamd: FakeController, program: Program,
                                                place: Path) -> None:
    configure(program, Nobody(), rspamd)
    (place / "a").write_bytes(b"Subject: a\n\na\n")
    assert program("learn", "--class", "spam", place).err == ""
    done = program("learn", "--class", "spam", place)
    assert (done.rc, done.err) == (0, "")


def test_marks_are_believed_after_a_first_training(rspamd: FakeController, program: Program,
                                                   place: Path) -> None:
    """The ledger is lost; files first, then the mailbox: marks still say what was learned."""
    (place / "a").write_bytes(b"Subject: a\n\na\n")
    marked = [Message(crlf(b"Subject: %d\n\nx\n" % n), {"$LearnedSpam"}) for n in range(3)]
    with FakeImap(marked) as imap:
        configure(program, imap, rspamd)
        assert program("learn", "--class", "spam", place).rc == 0
        rspamd.requests.clear()
        done = program("learn")
        assert not rspamd.learns and "known 3" in done.out, done


def test_nothing_of_files_stays(rspamd: FakeController, program: Program,
                                place: Path) -> None:
    """After a signal too: only contents are kept."""
    configure(program, Nobody(), rspamd, rspamd_lines="connections = 1")
    for n in range(30):
        (place / f"{n}").write_bytes(b"Subject: %d\n\n%d\n" % (n, n))

    def slow(request: Request) -> Reply:
        time.sleep(0.1)
        return LEARNED
    rspamd.answer = slow
    run = program.start("learn", "--class", "spam", place)
    time.sleep(1)
    run.send_signal(signal.SIGTERM)
    run.wait()
    assert run.returncode == 143
    assert program("ledger", "messages").out == ""


def test_left_of_files_is_not_left_for_ever(rspamd: FakeController, program: Program,
                                            place: Path) -> None:
    configure(program, Nobody(), rspamd)
    for n in range(5):
        (place / f"{n}").write_bytes(b"Subject: %d\n\n%d\n" % (n, n))
    assert program("learn", "--class", "spam", "--max", "2", place).rc == 0
    assert program("learn", "--class", "spam", *place.iterdir()).rc == 0
    assert "left for the next: 0" in program("stats").out


def test_senders_of_files_are_no_reporters(rspamd: FakeController, program: Program,
                                           place: Path) -> None:
    """The sender of old mail has no vote: one user alone is no quorum of two."""
    raw = b"Return-Path: <x@example.net>\nSubject: a\n\na\n"
    (place / "a").write_bytes(raw)
    with FakeImap([raw.replace(b"x@example.net", b"user@example.org")]) as imap:
        configure(program, imap, rspamd, top="reports { quorum = 2 }\n")
        assert program("learn", "--class", "spam", place).rc == 0
        assert "reporters=" not in program("ledger", "list").out
        assert "1 held" in program("learn").out


def test_files_have_no_classifier_of_a_reporter(rspamd: FakeController, program: Program,
                                                place: Path) -> None:
    configure(program, Nobody(), rspamd, rspamd_lines="deliver-to = reporter")
    (place / "a").write_bytes(b"Return-Path: <spammer@example.net>\nSubject: a\n\na\n")
    done = program("learn", "--class", "spam", place)
    assert done.rc == 78 and not rspamd.learns
    assert "files have no reporter" in done.err and done.err.count("\n") == 1


def test_what_is_no_mail_is_left_out(rspamd: FakeController, program: Program,
                                     place: Path) -> None:
    """A mail reader's index, an archive, an empty file: named, and never learned."""
    configure(program, Nobody(), rspamd)
    mbox(place / "INBOX", [b"Subject: 1\n\none\n", b"Subject: 2\n\ntwo\n"])
    (place / "INBOX.msf").write_bytes(b'// <!-- <mdb:mork:z v="1.4"/> -->\n< <(a=c)> >\n')
    (place / "old.mbox.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03abc:\n\n")
    (place / "maildirfolder").write_bytes(b"")
    (place / "quoted").write_bytes(b">From a@b Thu Nov 26 10:59:00 2026\nSubject: 3\n\nthree\n")
    done = program("learn", "--class", "spam", place)
    assert done.rc == 0 and len(rspamd.learns) == 3, done
    assert sorted(line.split(": ")[1].rsplit("/", 1)[1] for line in done.err.splitlines()) == [
        "INBOX.msf", "maildirfolder", "old.mbox.gz"]
    assert done.err.count("no mail: it does not begin with a header field; left out") == 3


def test_a_folder_that_may_not_be_read(rspamd: FakeController) -> None:
    """Who knows what is in it: not done, even where nothing but errors is printed."""
    folder = temporary_folder()
    try:
        program = Program(folder)
        configure(program, Nobody(), rspamd)
        (folder / "mail" / "closed").mkdir(parents=True, mode=0)
        (folder / "mail" / "a").write_bytes(b"Subject: a\n\na\n")
        user = 65534 if os.geteuid() == 0 else None
        for path in program.ledger, *folder.glob("learnspool.conf"), *folder.glob("*.password"):
            os.chown(path, user or -1, user or -1)
        done = subprocess.run(program.command("-q", "learn", "--class", "spam", folder / "mail"),
                              text=True, capture_output=True, env=environment(), check=False,
                              user=user, group=user, extra_groups=[] if user else None)
        assert done.returncode == 1 and len(rspamd.learns) == 1, done
        assert "closed" in done.stdout and "Permission denied" in done.stdout
    finally:
        (folder / "mail" / "closed").chmod(0o700)
        shutil.rmtree(folder)
