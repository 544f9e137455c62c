"""The spool: `submit` and files that people put in, learned by the same run as mail accounts."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import corpus
from fakes import LEARNED, FakeController, Reply, Request, http
from program import Program, Result, binary, environment, fault_program, secret_file
from servers import Stack

SPAM, HAM = corpus.short(corpus.spam(), 12), corpus.short(corpus.ham(), 12)
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be several users")


class Spool:
    """A spool and a program that has nothing else to learn from."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.path = folder / "spool"
        self.path.mkdir(mode=0o755)
        self.path.chmod(0o755)

    def configure(self, rspamd: Any, *, block: str = "", top: str = "",
                  connections: int = 16) -> None:
        password = secret_file(self.program.folder / "rspamd.password", rspamd.password + "\n")
        secret_file(self.program.config,
                    f'rspamd {{ url = "{rspamd.url}"  password-file = "{password}"\n'
                    f'         connections = {connections}  tries = 1 }}\n'
                    f'ledger = "{self.program.ledger}"\n'
                    f'spool "{self.path}" {{ {block} }}\n{top}')

    def submit(self, raw: bytes, kind: str = "spam", *words: str, user: int | None = None,
               env: dict[str, str] | None = None) -> Result:
        done = subprocess.run([binary(), "submit", "--class", kind, "--spool", self.path, *words],
                              input=raw, capture_output=True, timeout=60, env=environment(env),
                              user=user, group=user, extra_groups=[] if user else None)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def put(self, name: str | bytes, raw: bytes, kind: str = "spam") -> Path:
        """A file whose last change is long ago."""
        path = self.path / kind / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return path

    def files(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.path / folder).rglob("*") if not path.is_dir())


@pytest.fixture
def spool(program: Program, folder: Path) -> Spool:
    return Spool(program, folder)


@pytest.fixture
def ready(spool: Spool, rspamd: FakeController) -> Spool:
    """After the first run, which creates the folders."""
    spool.configure(rspamd)
    assert spool.program("learn").rc == 0
    return spool


def wait_until_whole() -> None:
    """A plain file is taken when nobody has written to it for three seconds."""
    time.sleep(3.2)


def test_from_submit_to_rspamd_and_away(stack: Stack, spool: Spool) -> None:
    """rspamd's own counters are the summary's; a second run finds nothing; retention removes."""
    spool.configure(stack.rspamd, top="retention { learned = 0s  skipped = 0s }\n")
    learnspool = spool.program
    assert learnspool("learn").rc == 0
    for raw in SPAM:
        assert spool.submit(raw) == Result(0, "", "")
    for raw in HAM:
        assert spool.submit(raw, "ham").rc == 0
    assert spool.submit(SPAM[0]).rc == 0  # a second report of the same mail
    before = sorted(path.name for path in spool.path.rglob("*"))
    dry = learnspool("run", "--dry-run")
    assert dry.rc == 0 and stack.rspamd.learns() == (0, 0)
    assert sum(line.startswith("learn ") for line in dry.out.splitlines()) == 24
    assert sorted(path.name for path in spool.path.rglob("*")) == before
    done = learnspool("learn")
    assert (done.rc, done.err) == (0, "") and "learned 24 (spam 12, ham 12)" in done.out
    assert "known 1" in done.out and stack.rspamd.learns() == (12, 12)
    assert len(spool.files("done")) == 25 and spool.files("spam") == spool.files("ham") == []
    again = learnspool("learn")
    assert again.rc == 0 and stack.rspamd.learns() == (12, 12) and "learned 0" in again.out
    assert learnspool("expire").rc == 0 and spool.files("done") == []
    assert learnspool("stats").rc == learnspool("check").rc == 0


def test_what_rspamd_gets_is_what_came_in(ready: Spool, rspamd: FakeController) -> None:
    """Without the line that names the reporter, and that a mbox adds; bytes of any kind."""
    raw = b"Subject: \xff\n\nFrom here\r\nto\0there\n"
    ready.submit(b"From a@b Thu Nov 26 10:59:00 2026\n" + raw, "spam", "--reporter", "a@b.example")
    ready.submit(raw + b"more", "ham")
    assert ready.program("learn").rc == 0
    assert sorted(request.body for request in rspamd.learns) == [raw, raw + b"more"]


def test_submit_exit_statuses(ready: Spool, tmp_path: Path) -> None:
    """What Sieve pipes, Postfix and OpenSMTPD understand; one line on standard error."""
    for words, raw, status in (
            (("--class", "spam"), b"", 65), (("--class", "junk"), b"x", 64), ((), b"x", 64),
            (("--class", "ham", "--reporter", "no address"), b"x", 64),
            (("--class", "ham", "--json"), b"x", 64), (("--class", "ham", "more"), b"x", 64),
            (("--class", "spam", "--spool", str(tmp_path / "nowhere")), b"x", 75)):
        spool = () if "--spool" in words else ("--spool", ready.path)
        done = subprocess.run([binary(), "submit", *words, *spool], input=raw,
                              capture_output=True)
        assert done.returncode == status and done.stderr.count(b"\n") == 1, (words, done)
    assert ready.files("spam") == ready.files("ham") == []


def test_submit_needs_no_configuration(ready: Spool) -> None:
    """Nor the ledger, which another run holds; and rspamd is not asked."""
    done = subprocess.run([binary(), "--config", "/nowhere", "submit", "--class", "spam",
                           "--spool", ready.path], input=b"Subject: x\n\n", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(ready.files("spam")) == 1


def test_what_is_left_in_place(ready: Spool, rspamd: FakeController) -> None:
    """Links, devices, hidden files, mboxes and what is being written: named, and not touched."""
    target = ready.path.parent / "secret"
    target.write_bytes(b"Subject: secret\n\nsecret\n")
    ready.put("one.eml", b"Subject: one\n\n1\n")
    ready.put(b"-\n\xff.eml", b"Subject: odd\n\n2\n")
    ready.put("box/new/1.host", b"Subject: new\n\n3\n")
    ready.put("box/cur/2.host:2,S", b"Subject: cur\n\n4\n")
    ready.put("box/tmp/3.host", b"Subject: tmp\n\n5\n")
    ready.put("deep/er/two.eml", b"Subject: deep\n\n6\n")
    ready.put(".hidden", b"Subject: hidden\n\n7\n")
    ready.put("old.mbox", b"From a@b Thu Nov 26 10:59:00 2026\nSubject: x\n\n8\n")
    spam = ready.path / "spam"
    (spam / "link").symlink_to(target)
    (spam / "folder").symlink_to(ready.path.parent)
    os.mkfifo(spam / "fifo")
    wait_until_whole()
    (spam / "half").write_bytes(b"Subject: ha")
    done = ready.program("learn")
    assert done.rc == 0
    assert sorted(request.body for request in rspamd.learns) == [
        b"Subject: cur\n\n4\n", b"Subject: deep\n\n6\n", b"Subject: new\n\n3\n",
        b"Subject: odd\n\n2\n", b"Subject: one\n\n1\n"]
    assert {line.rsplit("/", 1)[1].split(":")[0] for line in done.err.splitlines()} == {
        "link", "folder", "fifo", "old.mbox"}
    assert ready.files("spam") == sorted([".hidden", "3.host", "fifo", "half", "link", "old.mbox"])
    assert (spam / "folder").is_symlink()
    wait_until_whole()
    assert ready.program("learn").rc == 0 and b"Subject: ha" in rspamd.learns[-1].body


def test_names_are_told(ready: Spool) -> None:
    """A file that people named is known by that name, in text, in JSON and in the log."""
    ready.put(b"invoice \x1b[31m.eml", b"Subject: x\n\nx\n")
    wait_until_whole()
    dry = ready.program("learn", "--dry-run")
    assert 'file="invoice \\\\x1b[31m.eml"' in dry.out, dry.out
    done = ready.program("--json", "learn")
    assert done.event("message")["file"] == "invoice \\x1b[31m.eml"


def test_a_failure_is_kept_with_its_reason(ready: Spool, rspamd: FakeController) -> None:
    """And tried again: once rspamd takes it, it is done."""
    rspamd.answer = lambda request: http(500, b'{"error":"out of luck"}')
    ready.submit(b"Subject: x\n\nx\n")
    done = ready.program("learn")
    assert done.rc == 1
    name, reason = ready.files("failed")
    assert reason == f"{name}.reason"
    assert "out of luck" in (ready.path / "failed" / "spam" / reason).read_text()
    rspamd.answer = lambda request: LEARNED
    assert ready.program("learn").rc == 0
    assert ready.files("failed") == [] and ready.files("done") == [name]


def test_what_is_not_learned_is_skipped(ready: Spool, rspamd: FakeController) -> None:
    """And is known as that when the ledger is lost."""
    rspamd.answer = lambda request: http(204, "already in class spam; probability 99%")
    ready.submit(b"Subject: x\n\nx\n")
    dry = ready.program("learn", "--dry-run")
    assert "1 messages with done" in dry.out  # no dry run knows what rspamd will say
    assert ready.program("learn").rc == 0
    assert ready.files("skipped") == ["1"] and ready.files("done") == []
    shutil.rmtree(ready.program.ledger)
    ready.program.ledger.mkdir()
    done = ready.program("learn")
    assert done.rc == 0 and "1 skipped by an earlier run" in done.out, done
    assert len(rspamd.learns) == 1


def test_before_the_first_run(spool: Spool, rspamd: FakeController) -> None:
    """A check and a dry run find nothing wrong with an empty folder, and leave it empty."""
    spool.configure(rspamd)
    check, dry = spool.program("check"), spool.program("run", "--dry-run")
    assert check.rc == dry.rc == 0 and "WRONG" not in check.out and dry.err == ""
    assert "mailbox spam: 0 messages" in check.out and list(spool.path.iterdir()) == []


def test_retention_moves_to_the_archive(spool: Spool, rspamd: FakeController) -> None:
    """Where mail is moved to a mailbox, a spool's goes to a folder of the spool."""
    spool.configure(rspamd, top='retention { learned = 0s  action = "move Archive" }\n')
    assert spool.program("learn").rc == 0
    spool.submit(b"Subject: x\n\nx\n")
    assert spool.program("run").rc == 0
    assert spool.files("done") == [] and spool.files("archive") == ["1"]


def test_a_lost_ledger(ready: Spool, rspamd: FakeController) -> None:
    """What is done is known by where it lies, as marks say it of mail on a server."""
    ready.submit(b"Subject: x\n\nx\n")
    assert ready.program("learn").rc == 0
    shutil.rmtree(ready.program.ledger)
    ready.program.ledger.mkdir()
    done = ready.program("learn")
    assert done.rc == 0 and len(rspamd.learns) == 1 and "known 1" in done.out


def test_many_files(ready: Spool, rspamd: FakeController) -> None:
    """More than any table holds, in a folder and in folders: each once."""
    count = 3000
    for n in range(count):
        ready.put(f"{n % 7}/{n}.report", b"Subject: %d\n\n%d\n" % (n, n))
    done = ready.program("learn")
    assert done.rc == 0 and f"learned {count}" in done.out
    assert len({request.body for request in rspamd.learns}) == len(rspamd.learns) == count
    assert len(ready.files("done")) == count


def test_max(ready: Spool, rspamd: FakeController) -> None:
    """The folders share it; what is left is taken, and stays for the next run."""
    for n in range(5):
        ready.submit(b"Subject: %d\n\nx\n" % n)
    ready.submit(b"Subject: ham\n\nx\n", "ham")
    assert "spam: 1 learned, 4 left" in ready.program("learn", "--max", "2").out
    assert len(rspamd.learns) == 2
    assert ready.program("learn").rc == 0 and len(rspamd.learns) == 6


@needs_root
def test_others_may_add_and_nothing_else(ready: Spool, rspamd: FakeController) -> None:
    """As in Postfix's maildrop. A name that is known (here: by root) helps nobody."""
    ready.submit(b"Subject: secret\n\nx\n")
    (name,) = ready.files("spam")
    victim = ready.path / "spam" / name
    assert ready.submit(b"Subject: mine\n\ny\n", user=NOBODY).rc == 0
    for command in (f"ls {ready.path}/spam", f"ls {ready.path}/taken", f"ls {ready.path}/done",
                    f"rm -f {victim}", f"mv {victim} {victim}.x", f"echo x >>{victim}",
                    f"chmod 600 {victim}", f"cat {ready.path}/taken/state",
                    f"touch {ready.path}/x"):
        done = subprocess.run(["sh", "-c", command], user=NOBODY, group=NOBODY, extra_groups=[],
                              capture_output=True)
        assert done.returncode != 0 and done.stderr, command
    assert ready.program("learn").rc == 0 and len(rspamd.learns) == 2
    state = (ready.path / "done").stat()
    assert state.st_mode & 0o777 == 0o700


@needs_root
def test_who_reported(spool: Spool, rspamd: FakeController) -> None:
    """A user is one reporter, by the owner of the file; who is trusted may name others."""
    spool.configure(rspamd, top="reports { quorum = 2 }\n")
    learnspool = spool.program
    assert learnspool("learn").rc == 0
    for reporter in ("a@example.org", "b@example.org"):
        assert spool.submit(SPAM[0], "spam", "--reporter", reporter, user=NOBODY).rc == 0
    assert learnspool("learn").rc == 0 and rspamd.learns == []
    assert spool.submit(SPAM[1], "spam", "--reporter", "a@example.org").rc == 0
    assert spool.submit(SPAM[1], "spam", "--reporter", "b@example.org").rc == 0
    assert learnspool("learn").rc == 0 and len(rspamd.learns) == 1
    spool.configure(rspamd, top="reports { quorum = 2 }\n", block='trust = "vmail, nobody"')
    for reporter in ("a@example.org", "b@example.org"):
        assert spool.submit(SPAM[2], "spam", "--reporter", reporter, user=NOBODY).rc == 0
    assert learnspool("learn").rc == 0 and len(rspamd.learns) == 2


@needs_root
def test_a_user_who_makes_trouble(folder: Path, rspamd: FakeController) -> None:
    """The service is a user of its own here; others' files and folders stop nothing."""
    spool = Spool(Program(folder), folder)
    for path in (spool.path, spool.program.ledger):
        os.chown(path, NOBODY - 1, NOBODY - 1)
    spool.program.ledger.chmod(0o700)
    spool.configure(rspamd)
    os.chown(spool.program.config, NOBODY - 1, NOBODY - 1)
    os.chown(folder / "rspamd.password", NOBODY - 1, NOBODY - 1)
    learnspool = spool.program
    assert learnspool("learn").rc == 0, learnspool("learn")
    assert (spool.path / "spam").stat().st_uid == NOBODY - 1
    script = (f"umask 077; cd {spool.path}/spam && echo 'Subject: closed' >closed.report && "
              "mkdir mine && echo 'Subject: x' >mine/x.report && chmod 755 mine && "
              "chmod 644 mine/x.report && mkdir shut && "
              "ln closed.report again.report && echo 'Subject: y' >half")
    done = subprocess.run(["sh", "-c", script], user=NOBODY, group=NOBODY, extra_groups=[],
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    assert spool.submit(b"Subject: good\n\nz\n", user=NOBODY).rc == 0
    done = learnspool("learn")
    assert done.rc == 0, done
    assert [request.body for request in rspamd.learns] == [b"Subject: good\n\nz\n"]
    said = done.err.splitlines()
    assert any("closed.report: not readable" in line and "chmod a+r" in line for line in said)
    assert any("mine/x.report: its folder belongs to somebody else" in line for line in said)
    # A Maildir for all who look at it: what is submitted counts all the same.
    subprocess.run(["mkdir", spool.path / "spam" / "new", spool.path / "spam" / "cur"], check=True,
                   user=NOBODY, group=NOBODY, extra_groups=[])
    assert spool.submit(b"Subject: better\n\nz\n", user=NOBODY).rc == 0
    assert learnspool("learn").rc == 0 and len(rspamd.learns) == 2


def test_two_programs(ready: Spool, tmp_path: Path) -> None:
    """With another ledger, on the same spool: the second one says so, and does nothing."""
    fd = os.open(ready.path / "taken", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    ready.submit(b"Subject: x\n\n")
    done = ready.program("learn")
    os.close(fd)
    assert done.rc == 75 and "another learnspool works on it" in done.err
    assert ready.program("learn").rc == 0 and len(ready.files("done")) == 1


def test_a_spool_that_is_not_there(spool: Spool, rspamd: FakeController) -> None:
    """One line with the cure."""
    spool.configure(rspamd)
    spool.path.rmdir()
    done = spool.program("learn")
    assert done.rc == 78 and "install -d -m 755" in done.err and done.err.count("\n") == 1
    spool.path.mkdir()
    spool.path.chmod(0o777)
    done = spool.program("learn")
    assert done.rc == 78 and "others may write to it" in done.err


def test_submit_is_killed(ready: Spool, rspamd: FakeController) -> None:
    """At each step: the message is there as a whole, or not at all."""
    fault = fault_program()
    raw = b"Subject: x\n\n" + b"y" * 300_000
    for step in range(1, 9):
        done = subprocess.run([fault, "submit", "--class", "spam", "--spool", ready.path],
                              input=raw, capture_output=True,
                              env=environment({"LEARNSPOOL_FAULT_STEP": str(step)}))
        if done.returncode == 0:
            assert step > 1
            break
        assert done.returncode == -signal.SIGKILL
        assert ready.program("learn").rc == 0 and rspamd.learns == []
    assert ready.program("learn").rc == 0
    assert [request.body for request in rspamd.learns] == [raw]


def test_a_run_is_killed_at_every_step(spool: Spool) -> None:
    """Whatever the step: the next run ends as if nothing had happened; what was in flight may be
    sent twice, and nothing is lost, overwritten or removed unlearned."""
    fault = fault_program()
    mails = [b"Subject: %d\n\nbuy %d\n" % (n, n) for n in range(4)]
    for step in range(1, 200):
        for path in (spool.path, spool.program.ledger):
            shutil.rmtree(path)
            path.mkdir(mode=0o755)
        spool.program.ledger.chmod(0o700)
        with FakeController() as rspamd:
            def reply(request: Request) -> Reply:
                return http(500, b'{"error":"no"}') if b"buy 3" in request.body else LEARNED
            rspamd.answer = reply
            spool.configure(rspamd, top='retention { learned = 0s  action = "move x" }\n',
                            connections=2)
            assert spool.program("learn").rc == 0
            for raw in mails[:3]:
                spool.submit(raw)
            spool.submit(mails[3], "ham")
            spool.put("plain.report", mails[0], "ham")
            command = [fault, "--config", spool.program.config, "run"]
            done = subprocess.run(command, capture_output=True, timeout=60,
                                  env=environment({"LEARNSPOOL_FAULT_STEP": str(step)}))
            killed = done.returncode == -signal.SIGKILL
            assert killed or done.returncode == 1, done
            assert spool.program("run").rc == 1
            assert spool.program("run").rc == 1
            learned = [request.body for request in rspamd.learns if b"buy 3" not in request.body]
            assert sorted(set(learned)) == mails[:3], step
            assert len(learned) <= len(mails) + 2, step  # one changed its class; two in flight
            left = sorted(path.read_bytes() for path in (spool.path / "archive").rglob("*")
                          if path.is_file())
            assert [raw.split(b"Subject")[1] for raw in left] == sorted(
                raw.split(b"Subject")[1] for raw in [*mails[:3], mails[0]]), step
            assert len(spool.files("failed")) == 2 and spool.files("done") == [], step
            assert spool.files("spam") == spool.files("ham") == []
        if not killed:
            assert step > 20
            return
    raise AssertionError("it never ends")


def test_a_restored_spool(ready: Spool, rspamd: FakeController) -> None:
    """An older state with newer messages, or a damaged one: nothing is overwritten."""
    for n in range(3):
        ready.submit(b"Subject: %d\n\nx\n" % n)
        assert ready.program("learn").rc == 0
    state = ready.path / "taken" / "state"
    state.write_text(state.read_text().replace("next 4", "next 2"))
    ready.submit(b"Subject: new\n\nx\n")
    assert ready.program("learn").rc == 0 and len(rspamd.learns) == 4
    assert ready.files("done") == ["1", "2", "3", "4"]
    state.write_text("damaged\n")
    ready.submit(b"Subject: newer\n\nx\n")
    done = ready.program("learn")
    assert done.rc == 0 and "state is damaged" in done.err
    assert ready.files("done") == ["1", "2", "3", "4", "5"] and len(rspamd.learns) == 5


def test_json(ready: Spool) -> None:
    """A spool is an account with two mailboxes."""
    ready.submit(b"Subject: x\n\nx\n", "ham")
    done = ready.program("--json", "learn")
    message = done.event("message")
    assert (message["account"], message["mailbox"]) == (str(ready.path), "ham")
    records = ready.program("--json", "ledger", "messages").out.splitlines()
    assert json.loads(records[-1])["mailbox"] == "ham"
    only = ready.program("learn", "--account", str(ready.path))
    assert only.rc == 0
