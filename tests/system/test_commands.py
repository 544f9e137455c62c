"""stats, check, reset and ledger: what they say, what they leave alone, and their exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import (LEARNED, STAT, FakeController, FakeImap, Message, Reply, Request, by_subject,
                   configure, http)
from ledgerfile import LedgerFile
from program import INBOXES, ROOT, Program, Result, Rig, environment, secret_file
from servers import Stack

SPAM, HAM = "spam@example.org", "ham@example.org"
BOX = INBOXES[SPAM]


@pytest.fixture
def rspamd() -> Iterator[FakeController]:
    with FakeController(by_subject) as controller:
        yield controller


def mail(word: str, subject: str = "offer") -> bytes:
    return f"From: a@example.com\r\nSubject: {subject}\r\n\r\nwords of {word}\r\n".encode()


MAILS = [mail("one"), mail("one"), mail("two"), mail("three", "short"), mail("four", "bad")]


@pytest.fixture
def learned(program: Program, rspamd: FakeController) -> Iterator[Program]:
    """After a run over MAILS: two learned, one of them known as well, one short, one failed."""
    with FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        assert program("learn").rc == 1
        yield program


def line_of(text: str, begin: str) -> str:
    """The only line that begins so."""
    found = [line for line in text.splitlines() if line.startswith(begin)]
    assert len(found) == 1, text
    return found[0]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock.mdb"}


# ---- stats ----

def test_stats(learned: Program) -> None:
    """What the ledger holds, what rspamd says, and what is missing; nothing changes."""
    before = files(learned.ledger)
    done = learned("stats")
    assert done.rc == 0 and done.err == ""
    assert ("contents that rspamd learned from learnspool: spam 2, ham 0 (copies seen 4, "
            in done.out)
    assert line_of(done.out, "contents by what became of them: 3")
    counts = re.findall(r"^  (.*\S) +(\d+)$", done.out, re.MULTILINE)
    assert counts == [("learned", "2"), ("too short", "1"),
                      ("learned", "2"), ("known", "1"), ("too short", "1"), ("failed", "1")]
    assert "last spam seen: 20" in done.out and "last ham seen: never" in done.out
    assert line_of(done.out, "messages in mailboxes that are done: 4")
    assert line_of(done.out, "messages that are waiting: 1")
    assert line_of(done.out, "messages that the last runs left for the next: 0")
    assert "rspamd's own count, which lags by up to a minute: spam 1, ham 2" in done.out
    assert "missing by this count: 199 spam until Bayes" in done.out
    assert files(learned.ledger) == before


def test_stats_as_json(learned: Program) -> None:
    """The first line has the schema's version, the second the facts."""
    start, stats = learned("stats", "--json").events
    assert start["event"] == "start" and start["schema"] == 2 and start["command"] == "stats"
    assert stats["event"] == "stats" and stats["rspamd"] == {"spam": 1, "ham": 2}
    assert {"spam": 2, "ham": 0, "copies": 4, "left": 0}.items() <= stats.items()
    assert {name: n for name, n in stats["contents"].items() if n} == {
        "learned": 2, "unlearnable": 1}
    assert {name: n for name, n in stats["done"].items() if n} == {
        "learned": 2, "known": 1, "unlearnable": 1}
    assert {name: n for name, n in stats["waiting"].items() if n} == {"failed": 1}


def test_stats_without_rspamd(learned: Program, rspamd: FakeController) -> None:
    """69 and one line, and the ledger's part all the same."""
    rspamd.close()
    done = learned("stats")
    assert done.rc == 69 and done.err.count("\n") == 1
    assert "spam 2, ham 0" in done.out and "rspamd's own count" not in done.out
    start, error, stats = learned("stats", "--json").events
    assert start["event"] == "start" and error["exit"] == 69 and stats["rspamd"] is None


def test_stats_of_an_rspamd_that_cannot_learn(learned: Program, rspamd: FakeController) -> None:
    rspamd.stat = http(200, "OK", b'{"statfiles":[]}')
    """It counts nothing, so no count of its is shown: 69, the cure, and the ledger's part."""
    done = learned("stats")
    assert done.rc == 69 and "no working Bayes" in done.err and "rspamd's own" not in done.out
    assert "spam 2, ham 0" in done.out


def test_stats_before_the_first_run(program: Program, rspamd: FakeController) -> None:
    with FakeImap() as imap:
        configure(program, imap, rspamd)
        program.ledger.rmdir()
        assert "spam 0, ham 0" in program("stats").out and not program.ledger.exists()


# ---- check ----

def test_check_when_all_is_good(stack: Stack, program: Program) -> None:
    """One line for each thing, 0, and nothing is changed: not even a ledger is made."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS)
    with stack.dovecot.session(SPAM) as link:
        stack.dovecot.check(link.create("Archive"))
    token = secret_file(program.folder / "token", "correct horse battery staple\n")
    program.configure(stack, {SPAM: f'{BOX}\nmailbox "\\\\Junk" {{ class = spam  keep = true }}'},
                      top='retention { learned = 7d  action = move "Archive" }\n'
                          f'reports {{ token-file = "{token}" }}\n')
    done = program("check")
    assert done.rc == 0 and done.err == "", done
    assert done.out.splitlines() == [
        "ok    configuration", "ok    token of reports", "ok    ledger",
        "ok    rspamd answers and has a Bayes classifier",
        f"ok    account {SPAM}: mailbox INBOX: 5 messages",
        f'ok    account {SPAM}: mailbox \\Junk, which is "Junk": 0 messages']
    assert list(program.ledger.iterdir()) == []
    assert all(flags == {r"\Recent"} for flags in stack.dovecot.flags(SPAM).values())
    assert program("check", "-q").out == ""
    program.ledger.rmdir()
    # What root can make says nothing of what the service's user can.
    says = "note  the ledger's directory does not exist" if os.geteuid() == 0 \
        else "ok    ledger (the first run creates it)"
    assert says in program("check").out
    assert not program.ledger.exists()


def no_folder(program: Program) -> None:
    program.ledger.rmdir()
    program.config.write_text(program.config.read_text().replace(
        str(program.ledger), str(program.folder / "no" / "ledger")))


def a_file(program: Program) -> None:
    program.ledger.rmdir()
    program.ledger.write_text("x")


def anybodys(program: Program) -> None:
    program.ledger.chmod(0o777)


def garbage(program: Program) -> None:
    (program.ledger / "data.mdb").write_bytes(b"no ledger" * 1000)


def no_token(program: Program) -> None:
    with program.config.open("a") as conf:
        conf.write(f'reports {{ token-command = "false {program.folder}" }}\n')


def no_target(program: Program) -> None:
    with program.config.open("a") as conf:
        conf.write('retention { learned = 7d  action = move "Nowhere" }\n')


def no_mailbox(program: Program) -> None:
    program.config.write_text(program.config.read_text().replace('"INBOX"', '"Nowhere"', 1))


def no_password(program: Program) -> None:
    secret_file(program.folder / "spam.password", "wrong\n")


def no_rspamd(program: Program) -> None:
    program.config.write_text(program.config.read_text().replace("http://127.0.0.1:",
                                                                 "http://127.0.0.1:1/"))


# What is broken: the exit status, words of its line, and how many things are still good.
BROKEN: dict[str, tuple[Callable[[Program], None], int, str, int]] = {
    "no folder for the ledger": (no_folder, 78, "cannot be created", 4),
    "the ledger is a file": (a_file, 78, "not a directory", 4),
    "anybody can write the ledger": (anybodys, 78, "chmod 0700", 4),
    "the ledger is damaged": (garbage, 70, "damaged, or not a ledger", 4),
    "the token cannot be read": (no_token, 78, "token", 5),
    "nowhere to move to": (no_target, 78, "Nowhere", 5),
    "no such mailbox": (no_mailbox, 78, "Nowhere", 4),
    "a wrong password": (no_password, 77, SPAM, 4),
    "rspamd is down": (no_rspamd, 69, "rspamd", 4),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_check_names_what_is_wrong(stack: Stack, learnspool: Program, broken: str) -> None:
    """One line for it, its exit status, and everything else is still looked at."""
    spoil, rc, words, good = BROKEN[broken]
    spoil(learnspool)
    done = learnspool("check")
    assert done.rc == rc and done.err == "", done
    wrong = [line for line in done.out.splitlines() if line.startswith("WRONG ")]
    assert wrong and all(words in line for line in wrong), done.out
    assert len(wrong) == (2 if broken == "nowhere to move to" else 1)
    assert sum(line.startswith("ok ") for line in done.out.splitlines()) == good, done.out
    quiet = learnspool("check", "-q").out.splitlines()
    assert [line[:40] for line in quiet] == [line[:40] for line in wrong]


def test_check_looks_on_when_several_things_are_wrong(stack: Stack, learnspool: Program) -> None:
    """Each has its line; the exit status is the first one's."""
    no_rspamd(learnspool)
    no_password(learnspool)
    done = learnspool("check")
    assert done.rc == 69 and done.out.count("WRONG ") == 2
    assert f"ok    account {HAM}: mailbox INBOX" in done.out
    done = learnspool("check", "--account", HAM)
    assert done.rc == 69 and done.out.count("WRONG ") == 1 and SPAM not in done.out


def test_check_knows_a_server_without_uidplus(program: Program, rspamd: FakeController) -> None:
    """Only where retention is on does it matter, and it can be allowed."""
    for top, rc in (("", 0), ("retention { learned = 7d }\n", 78),
                    ("retention { learned = 7d  without-uidplus = true }\n", 0)):
        with FakeImap(capabilities="IMAP4rev1 SASL-IR AUTH=PLAIN") as imap:
            configure(program, imap, rspamd, top=top)
            done = program("check")
            assert done.rc == rc and ("no UIDPLUS" in done.out) == (rc != 0)


def test_check_urges_proof(program: Program, rspamd: FakeController) -> None:
    """An open collection account is no error, and is said."""
    with FakeImap() as imap:
        configure(program, imap, rspamd)
        done = program("check")
        assert done.rc == 0 and line_of(done.out, "note  reports need no proof")


def test_a_bad_configuration_ends_the_check(program: Program) -> None:
    secret_file(program.config, "nonsense\n")
    done = program("check")
    assert done.rc == 78 and done.out == "" and done.err.count("\n") == 1


# ---- reset ----

def ask(program: Program, said: str) -> Result:
    """reset, with somebody at the terminal."""
    ours, theirs = pty.openpty()
    run = subprocess.Popen(program.command("reset"), stdin=theirs, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=environment())
    os.close(theirs)
    os.write(ours, said.encode())
    out, err = run.communicate(timeout=20)
    os.close(ours)
    return Result(run.returncode, out.decode(), err.decode())


def test_reset_asks(learned: Program) -> None:
    """Nothing happens without a terminal, or without the whole word; and what it will do is said
    before."""
    before = files(learned.ledger)
    for done in (learned("reset"), learned("reset", stdin=b"yes\n"), ask(learned, "y\n"),
                 ask(learned, "\n"), ask(learned, "no\n"), ask(learned, "yes please\n")):
        assert done.rc == 64 and "not confirmed, and nothing was changed" in done.err
        assert str(learned.ledger) in done.out and "Type yes:" in done.out
    assert files(learned.ledger) == before
    assert ask(learned, "yes\n").rc == 0 and not (learned.ledger / "data.mdb").exists()


def test_reset_sets_the_ledger_aside(stack: Stack, program: Program,
                                     rspamd: FakeController) -> None:
    """It is renamed, byte for byte, and readable; messages that bear a mark are not learned
    again; a second reset finds the new one or nothing."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS[:4])
    program.configure(Rig(rspamd, stack.dovecot, stack.authority), {SPAM: BOX})
    assert program("learn").rc == 0 and len(rspamd.learns) == 3
    ledger = (program.ledger / "data.mdb").read_bytes()
    done = program("reset", "--yes")
    assert done.rc == 0 and done.err == ""
    aside, = program.ledger.glob("data.mdb.*")
    assert str(aside) in done.out and aside.read_bytes() == ledger
    assert program("reset", "--yes").out == "there is nothing to forget\n"
    assert len(list(program.ledger.glob("data.mdb.*"))) == 1

    assert program("learn").rc == 0 and len(rspamd.learns) == 3
    assert len(listed(program)) == 0  # of what it never read it knows no content
    assert len(listed(program, "messages")) == 4

    shutil.copy(aside, program.ledger / "data.mdb")  # and back
    assert len(listed(program)) == 3


def test_reset_waits_for_no_run(stack: Stack, program: Program) -> None:
    """While a run is at work: 75, and the run goes on undisturbed."""
    with FakeController(slowly) as rspamd:
        stack.dovecot.append_many(SPAM, "INBOX", [mail(str(n)) for n in range(20)])
        program.configure(Rig(rspamd, stack.dovecot, stack.authority), {SPAM: BOX},
                          rspamd="connections = 1")
        with program.start("learn") as run:
            while len(rspamd.learns) < 3:
                time.sleep(0.02)
            done = program("reset", "--yes")
            assert done.rc == 75 and f"process {run.pid}" in done.err
            run.communicate(timeout=30)
        assert run.returncode == 0 and len(listed(program)) == 20


def test_reset_without_a_ledger(program: Program, rspamd: FakeController) -> None:
    with FakeImap() as imap:
        configure(program, imap, rspamd)
        program.ledger.rmdir()
        done = program("reset")
        assert done.rc == 0 and done.out == "there is nothing to forget\n"
        assert not program.ledger.exists()


# ---- ledger ----

def slowly(request: Request) -> Reply:
    time.sleep(0.03)
    return LEARNED


def listed(program: Program, what: str = "list") -> list[dict[str, Any]]:
    done = program("ledger", what, "--json")
    assert done.rc == 0 and done.events[0]["event"] == "start" and done.events[0]["schema"] == 2
    return done.events[1:]


def test_ledger_list_and_messages(learned: Program) -> None:
    """Each content and each message, as text and as JSON, the same facts."""
    contents, messages = listed(learned), listed(learned, "messages")
    assert sorted((c["outcome"], c["copies"]) for c in contents) == [
        ("learned", 1), ("learned", 2), ("unlearnable", 1)]
    assert [(m["uid"], m["outcome"], m["state"]) for m in messages] == [
        (1, "learned", "marked"), (2, "known", "marked"), (3, "learned", "marked"),
        (4, "unlearnable", "marked"), (5, "failed", "pending")]
    assert messages[4]["tries"] == 1 and messages[0]["digest"] == messages[1]["digest"]
    text = learned("ledger", "list").out.splitlines()
    assert [line.split()[0] for line in text] == [c["digest"] for c in contents]
    assert [line for line in text if line.endswith("classifier: 3 < 11")]
    text = learned("ledger", "messages").out.splitlines()
    assert len(text) == 5
    assert text[1].startswith(f"{SPAM} INBOX uid=2 spam marked known since=20")


def test_ledger_show(learned: Program) -> None:
    """By the first digits of a digest: the content and every message that has it."""
    digest = listed(learned, "messages")[1]["digest"]
    for prefix in (digest, digest[:12], digest[:8]):
        done = learned("ledger", "show", prefix, "--json")
        assert [e["event"] for e in done.events] == ["start", "digest", "message", "message"]
        assert {e["digest"] for e in done.events[1:]} == {digest}
    for prefix, rc in ((digest[:7], 64), ("", 64), ("x" * 12, 64), (digest.upper(), 64),
                       ("0" * 8 if digest[0] != "0" else "1" * 8, 1)):
        done = learned("ledger", "show", prefix)
        assert done.rc == rc and done.out == "" and done.err.count("\n") == 1, prefix


def test_ledger_verify(learned: Program) -> None:
    """A good one is counted; records that cannot be read are, too, and end with 70; the rest of
    the ledger is still listed."""
    done = learned("ledger", "verify")
    assert done.rc == 0 and "9 records, all readable" in done.out
    assert learned("ledger", "verify", "--json").event("verify")["damaged"] == 0
    for name, bad in (("uid", b"\x01\x09junk"), ("digest", b""), ("mailbox", b"\xff" * 40)):
        with LedgerFile(learned.ledger, name) as ledger:
            key = next(iter(ledger.records()))
            ledger.put({key: bad})
        done = learned("ledger", "verify")
        assert done.rc == 70 and done.err.count("\n") == 1
    assert "3 of 9 records cannot be read" in done.err
    assert len(listed(learned)) == 2 and len(listed(learned, "messages")) == 4


def test_ledger_verify_misses_contents(learned: Program) -> None:
    """A learned message whose content is not there any more is no damage: it was forgotten."""
    with LedgerFile(learned.ledger, "uid") as ledger:
        records = ledger.records()
        first = min(records)
        ledger.put({first: records[first][:34] + b"\x07" * 32 + records[first][66:]})
    done = learned("ledger", "verify")
    assert done.rc == 0 and "1 learned messages whose content was forgotten" in done.out


@pytest.mark.parametrize("keep", [100, 4096, 9000, 20000])
def test_a_truncated_ledger(learned: Program, keep: int) -> None:
    """Wherever the file ends: 70 and one line from every command, none of them crashes or makes
    it worse."""
    path = learned.ledger / "data.mdb"
    assert path.stat().st_size > 20000
    os.truncate(path, keep)
    left = path.read_bytes()
    for words in (["ledger", "verify"], ["ledger", "list"], ["stats"], ["expire"], ["learn"]):
        done = learned(*words)
        assert done.rc == 70 and done.err.count("\n") == 1 and "damaged" in done.err, words
    assert path.read_bytes() == left


def test_backup(learned: Program) -> None:
    """A file of its own that opens and verifies; an existing file is never written over, and what
    cannot be completed is taken away."""
    target = learned.folder / "copy.mdb"
    done = learned("ledger", "backup", target)
    assert done == Result(0, "", "") and target.stat().st_mode & 0o777 == 0o600
    assert restored(learned, target)("ledger", "list").out == learned("ledger", "list").out
    before = target.read_bytes()
    for path, words in ((target, "exists"), (learned.folder / "no" / "copy", "No such file"),
                        (learned.folder, "exists"), (Path("/proc/copy"), "")):
        done = learned("ledger", "backup", path)
        assert done.rc == 64 and done.err.count("\n") == 1 and words in done.err, done
    assert target.read_bytes() == before


def restored(program: Program, backup: Path) -> Program:
    """The program with that ledger."""
    folder = program.folder / f"restored-{backup.name}"
    folder.mkdir()
    other = Program(folder)
    shutil.copy(backup, other.ledger / "data.mdb")
    secret_file(other.config, program.config.read_text().replace(str(program.ledger),
                                                                 str(other.ledger)))
    return other


def no_room() -> None:
    """A disk that is full after so many bytes, for this process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


def test_backup_on_a_full_disk(learned: Program) -> None:
    """75, and half a backup is no backup: it is removed."""
    target = learned.folder / "copy.mdb"
    done = subprocess.run(learned.command("ledger", "backup", target), capture_output=True,
                          env=environment(), preexec_fn=no_room)
    assert done.returncode == 75 and b"removed" in done.stderr and not target.exists()


def test_backup_while_a_run_writes(program: Program) -> None:
    """Each backup is a ledger as it was at one moment: it verifies, and each holds what the one
    before it held."""
    with FakeController(slowly) as rspamd, FakeImap(mail(str(n)) for n in range(300)) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 4")
        with program.start("learn") as run:
            backups = []
            while run.poll() is None:
                if (program.ledger / "data.mdb").exists() and rspamd.learns:
                    backups.append(program.folder / f"{len(backups)}.mdb")
                    done = program("ledger", "backup", backups[-1])
                    assert done == Result(0, "", ""), done
                time.sleep(0.1)
            run.communicate()
        assert run.returncode == 0 and len(backups) >= 3
        held: set[str] = set()
        for backup in backups[:: max(1, len(backups) // 6)]:
            other = restored(program, backup)
            assert other("ledger", "verify").rc == 0
            now = {content["digest"] for content in listed(other)}
            assert held <= now
            held = now
        assert len(listed(program)) == 300 and 0 < len(held) <= 300


# ---- the command line ----

@pytest.mark.parametrize("words", [
    [], ["nothing"], ["--no-such-option"], ["learn", "--no-such-option"], ["-x"],
    ["learn", "--max"], ["--config"], ["--log", "printer", "stats"],
    ["stats", "--dry-run"], ["stats", "--account", SPAM], ["stats", "more"],
    ["check", "--json"], ["check", "--max", "1"], ["reset", "--dry-run"], ["reset", "--json"],
    ["ledger"], ["ledger", "nothing"], ["ledger", "show"], ["ledger", "backup"],
    ["ledger", "list", "more"], ["ledger", "verify", "more"], ["ledger", "backup", "a", "b"],
    ["ledger", "list", "--dry-run"], ["learn", "--yes"], ["expire", "--yes"],
    ["expire", "--max", "99999999999"],
])
def test_wrong_command_lines(learned: Program, words: list[str]) -> None:
    """64, and nothing on standard output, so that a script sees it."""
    done = learned(*words)
    assert done.rc == 64 and done.out == "" and done.err, done


def test_help_and_version(program: Program) -> None:
    """They need no configuration; a full disk is said."""
    none = program.folder / "none"
    done = program("--version", config=none)
    assert done.rc == 0 and done.out.startswith("learnspool ") and done.out.count("\n") == 1
    done = program("--help", config=none)
    assert done.rc == 0 and done.err == ""
    for command in ("run", "learn", "expire", "stats", "check", "reset", "ledger"):
        assert line_of(done.out, f"  {command} ")
    with open("/dev/full", "wb") as full:
        for word in ("--help", "--version"):
            assert subprocess.run(program.command(word), stdout=full).returncode == 74


OUTPUTS = [["stats"], ["stats", "--json"], ["check"],
           ["ledger", "list"], ["ledger", "messages", "--json"], ["ledger", "verify"],
           ["learn", "--dry-run"], ["expire", "--dry-run"]]


@pytest.mark.parametrize("words", OUTPUTS, ids=" ".join)
def test_output_that_cannot_be_written(learned: Program, words: list[str]) -> None:
    """To a full disk, and to a pipe that nobody reads: 74, and no signal."""
    read, pipe = os.pipe()
    os.close(read)
    full = os.open("/dev/full", os.O_WRONLY)
    for output in (full, pipe):
        done = subprocess.run(learned.command(*words), stdout=output, stderr=subprocess.PIPE,
                              env=environment())
        os.close(output)
        assert done.returncode == 74, done


def test_long_output_that_cannot_be_written(learned: Program) -> None:
    """Also where the error came long before the end."""
    with LedgerFile(learned.ledger, "digest") as ledger:
        value = next(iter(ledger.records().values()))
        ledger.put({n.to_bytes(32, "big"): value for n in range(2000)})
    read, write = os.pipe()
    run = subprocess.Popen(learned.command("ledger", "list"), stdout=write,
                           stderr=subprocess.PIPE, env=environment())
    os.close(write)
    assert os.read(read, 100)
    os.close(read)
    assert run.wait(20) == 74
    run.communicate()


def test_json_is_json(learned: Program) -> None:
    """Every line of every command, errors as well; "start" comes first, and docs/json.md knows
    each event and field."""
    documented = set(re.findall("`([^`]+)`", (ROOT / "docs/json.md").read_text()))
    for words, rc in ((["learn"], 1), (["run"], 1), (["expire", "--dry-run"], 0),
                      (["learn", "--dry-run"], 0), (["stats"], 0), (["ledger", "list"], 0),
                      (["ledger", "messages"], 0),
                      (["ledger", "verify"], 0), (["ledger", "show", "ffffffffff"], 1),
                      (["ledger", "nothing"], 64), (["learn", "--account", "x"], 64)):
        done = learned(*words, "--json")
        first, *rest = map(json.loads, done.out.splitlines())
        assert done.rc == rc and first["event"] == "start" and first["schema"] == 2, done
        assert first["command"] == words[0]
        for event in (first, *rest):
            assert {event["event"], *event} - {"event"} <= documented, event
        if rc not in (0, 1):
            (error,) = [event for event in rest if event["event"] == "error"]
            assert error["exit"] == rc
        if words[0] in ("learn", "run", "expire"):
            (summary,) = [event for event in rest if event["event"] == "summary"]
            assert summary["exit"] == rc
