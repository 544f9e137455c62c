"""What administrators meet: findings C22 to C27 and D28 to D31 of the hostile readers, and their
brothers: rights, cures, terminals, logs, exit statuses, and accounts that hang."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import (CAPABILITIES, LEARNED, FakeController, FakeImap, by_subject,
                   configure, configure_all, http, then_silence)
from program import ROOT, Program, Result, binary, environment, secret_file
from servers import free_port, quoted, wait_until
from test_said import gone, mails, refuse_login
from test_states import (ALICE, BOX, HAM, MARKED, NO_STAT, SPAM, good, mail,
                         verdicts)

NOBODY = 65534


@pytest.fixture
def rspamd() -> Iterator[FakeController]:
    with FakeController(by_subject) as controller:
        yield controller


def one_line(done: Result, rc: int, *words: str) -> None:
    assert done.rc == rc and done.err.count("\n") == 1, done
    assert all(word in done.err for word in words), done.err


# ---- C22: root and the service's user ----

@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("owner", ["the configuration", "the ledger"])
def test_root_works_as_the_services_user(rspamd: FakeController, owner: str) -> None:
    """C22: files of mode 600 that belong to the service, root types check and run: all is good, and
    what root made belongs to the service."""
    folder = Path(subprocess.run(["mktemp", "-d", "-p", "/tmp"], capture_output=True, text=True,
                                 check=True).stdout.strip())
    try:
        folder.chmod(0o755)
        program = Program(folder)
        shutil.copy(binary(), folder / "learnspool")
        with FakeImap(mails(2)) as imap:
            configure_all(program, {SPAM: (imap, BOX["spam"])}, rspamd)
            program.ledger.chmod(0o700)
            mine = [program.ledger, folder / "imap.password"]
            for path in mine + [program.config] * (owner == "the configuration"):
                os.chown(path, NOBODY, NOBODY)
            for words in (["check"], ["run"], ["stats"], ["ledger", "verify"], ["reset", "--yes"]):
                good(program(*words))
            good(program("run"))
            made = {path.name: path.stat().st_uid for path in program.ledger.iterdir()}
            assert "data.mdb" in made and set(made.values()) == {NOBODY}
    finally:
        shutil.rmtree(folder)


# ---- C23: cures ----

class Folders(FakeImap):
    """An account with other mailboxes beside its own."""

    others: tuple[str, ...] = ()

    def _do_list(self, rest: str) -> bytes:
        names = (self.mailbox, *self.others)
        return b"".join(f'* LIST (\\HasNoChildren) "/" {quoted(name)}\r\n'.encode()
                        for name in names)


@pytest.mark.parametrize("wanted, near", [
    ("Jnuk", '"Junk"'), ("junk", '"Junk"'), ("Junk E-Mail", '"Junk Mail"'),
    ("Gelöschte", '"Gelöscht"'), ("Spam", '"Archive/Spam"'), ("Zebra", ""),
])
def test_a_misspelt_mailbox_names_the_nearest(program: Program, rspamd: FakeController,
                                              wanted: str, near: str) -> None:
    """C23: 78, and the nearest that there are."""
    with Folders() as imap:
        imap.others = ("Junk", "Junk Mail", "Sent", "Gelöscht", "Archive/Spam", "Drafts")
        configure(program, imap, rspamd, mailboxes=f'mailbox "{wanted}" {{ class = spam }}')
        done = program("learn")
        one_line(done, 78, f"mailbox {wanted}", "there is none of this name")
        assert (near in done.err) if near else "none like it" in done.err
        assert "Sent" not in done.err
        check = program("check")
        assert check.rc == 78 and near in check.out


def test_a_mailbox_that_is_there_and_refused(program: Program, rspamd: FakeController) -> None:
    """C23's brother: what is listed is not called missing."""
    with FakeImap(lies={"SELECT": gone}) as imap:
        configure(program, imap, rspamd)
        one_line(program("learn"), 69, "mailbox INBOX", "refused", "no such mailbox")


def test_a_password_in_the_configuration(program: Program, rspamd: FakeController) -> None:
    """C23: password = "x": password-file is meant; and the password is not repeated."""
    with FakeImap() as imap:
        configure(program, imap, rspamd)
        text = program.config.read_text()
        secret_file(program.config, re.sub(r'password-file = "[^"]*imap|password-file = "[^"]*spam',
                                           'password = "geheim', text, count=1))
        one_line(program("learn"), 78, "password-file")
        assert "geheim" not in program("check").err


def test_the_port_of_another_worker(program: Program, rspamd: FakeController) -> None:
    """C23: 11333 says 500 invalid command."""
    rspamd.stat = http(500, "invalid command")
    with FakeImap() as imap:
        configure(program, imap, rspamd)
        one_line(program("learn"), 78, "11334", "url")
        assert "11334" in program("check").out


def test_a_reset_that_was_refused(program: Program, rspamd: FakeController) -> None:
    """C23: it names --yes."""
    with FakeImap(mails(1)) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        one_line(program("reset"), 64, "--yes")


def test_check_says_which_folder_junk_is(program: Program, rspamd: FakeController) -> None:
    """C23: \\Junk."""
    with FakeImap(mailbox="Spam & Müll") as imap:
        configure(program, imap, rspamd, mailboxes='mailbox "\\\\Junk" { class = spam }')
        assert 'mailbox \\Junk, which is "Spam & Müll": 0 messages' in good(program("check")).out


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["help"], ["-V"], ["--version"]])
def test_help(program: Program, words: list[str]) -> None:
    """C23: each of them works, on standard output."""
    done = subprocess.run([binary(), *words], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout and done.stderr == ""


@pytest.mark.parametrize("words, option", [
    (["stats", "--max", "3"], "--max"), (["check", "--json"], "--json"),
    (["learn", "--retrain"], "--retrain"), (["reset", "--dry-run"], "--dry-run"),
    (["ledger", "list", "--yes"], "--yes"),
])
def test_an_option_of_another_command(program: Program, words: list[str], option: str) -> None:
    """C23: which one?"""
    one_line(program(*words), 64, words[0], option)


# ---- C24: terminals ----

def on_terminal(program: Program, columns: int, term: str, *words: str) -> bytes:
    """What learn writes to a terminal of so many columns."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    run = subprocess.Popen(program.command("learn", *words), stdout=side, stderr=side,
                           stdin=subprocess.DEVNULL, env=environment({"TERM": term}))
    os.close(side)
    out = b""
    while True:
        try:
            piece = os.read(main, 4096)
        except OSError:
            break
        if not piece:
            break
        out += piece
    os.close(main)
    assert run.wait(60) in (0, 1)
    return out


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_the_bar_fits(program: Program, rspamd: FakeController, columns: int) -> None:
    """C24: no line of the bar is as long as the terminal is wide."""
    rspamd.answer = lambda _: time.sleep(0.03) or LEARNED
    with FakeImap(mails(60)) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 1")
        out = on_terminal(program, columns, "xterm")
        bars = re.findall(rb"\r([^\r\n\x1b]+)\x1b\[K", out)
        assert bars and max(map(len, bars)) < columns


def test_a_dumb_terminal_gets_no_escapes(program: Program, rspamd: FakeController) -> None:
    """C24: TERM=dumb."""
    with FakeImap(mails(5)) as imap:
        configure(program, imap, rspamd)
        assert b"\x1b" not in on_terminal(program, 80, "dumb")


# ---- C25: what monitoring reads ----

def test_failed_messages_are_warnings_in_the_log(program: Program, rspamd: FakeController) -> None:
    """C25: at warning where the log is apart, once; on standard error they stand in the output
    already."""
    with FakeImap([mail("one", "bad"), mail("two")]) as imap:
        configure(program, imap, rspamd)
        done = program("learn", "--log", "journal")
        lines = [line for line in done.err.splitlines() if "uid=1 " in line]
        assert len(lines) == 1 and lines[0].startswith("<4>failed account=" + SPAM), done.err
        assert [line for line in done.err.splitlines() if line.startswith("<6>summary run=learn")]
        assert program("learn").err == ""


def test_a_start_that_failed_has_a_summary(program: Program, rspamd: FakeController) -> None:
    """C25: also where nothing could be begun: JSON ends with its exit status."""
    rspamd.stat = NO_STAT
    with FakeImap(mails(1)) as imap:
        configure(program, imap, rspamd)
        done = program("learn", "--json")
        assert done.rc == 69 and done.event("summary")["exit"] == 69
        program.config.write_text("nonsense\n")
        done = program("run", "--json")
        assert done.rc == 78 and done.event("summary")["exit"] == 78


def test_errors_name_their_account(program: Program, rspamd: FakeController) -> None:
    """C25: in the field, not only in the text."""
    with FakeImap(mails(1), {"AUTHENTICATE": refuse_login}) as bad, \
            FakeImap(mails(1), {"SELECT": gone}) as worse, FakeImap(mails(1)) as fine:
        configure_all(program, {SPAM: (bad, BOX["spam"]), HAM: (worse, BOX["ham"]),
                                ALICE: (fine, BOX["junk"])}, rspamd)
        errors = [event for event in program("learn", "--json").events
                  if event["event"] == "error"]
        assert [event["account"] for event in errors] == [SPAM, HAM]


def test_seconds_are_short(program: Program, rspamd: FakeController) -> None:
    """C25: not 0.050999999999999997."""
    with FakeImap(mails(1)) as imap:
        configure(program, imap, rspamd)
        for _ in range(6):
            out = good(program("learn", "--json")).out
            seconds = re.search(r'"seconds": ?([0-9.]+)', out)
            assert seconds and len(seconds[1].partition(".")[2]) <= 3, seconds


def test_the_unit_hides_no_failure() -> None:
    """C25: systemd calls a run good that was."""
    unit = (ROOT / "contrib" / "systemd" / "learnspool.service").read_text()
    assert "SuccessExitStatus" not in unit
    assert "Temporary failures (75) and failed messages (1) are for the next run" not in unit


def test_both_units_may_do_the_same() -> None:
    """Whatever the nightly run may write to, as a spool, watch may too."""
    units = [(ROOT / "contrib" / "systemd" / name).read_text().splitlines()
             for name in ("learnspool.service", "learnspool-watch.service")]
    may = [[line for line in unit if re.match("[A-Za-z]*(Protect|Private|Restrict|Paths|State|"
                                              "Capability|User)[A-Za-z]*=", line)
            and not line.startswith("Restart")] for unit in units]
    assert "ReadWritePaths=-/var/spool/learnspool" in may[0] and may[0] == may[1]


# ---- C26: the manual and the program ----

@pytest.mark.parametrize("words", [["learn"], ["stats"], ["ledger", "list"], ["learn", "--json"],
                                   ["check"], ["--help"]])
def test_lost_output_has_its_line(program: Program, rspamd: FakeController,
                                  words: list[str]) -> None:
    """C26: /dev/full: 74 and a line."""
    with FakeImap(mails(2)) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        with open("/dev/full", "wb") as full:
            done = subprocess.run(program.command(*words), stdout=full, stderr=subprocess.PIPE,
                                  env=environment())
        assert done.returncode == 74 and done.stderr.count(b"\n") == 1, done
        assert b"No space left" in done.stderr


def test_show_wants_a_digest(program: Program, rspamd: FakeController) -> None:
    """C26: 00000000 is not that of every unread message."""
    seen = 'keep = true  mailbox "INBOX" { class = ham  seen-only = true }'
    with FakeImap(mails(3)) as imap:
        configure_all(program, {ALICE: (imap, seen)}, rspamd)
        good(program("learn"))
        assert good(program("ledger", "messages")).out.count("\n") == 3
        one_line(program("ledger", "show", "00000000"), 1, "nothing has the digest")


def test_escapes_are_shown_as_the_manual_says(program: Program, rspamd: FakeController) -> None:
    """C26: \\x1b in servers' answers, blanks in subjects and addresses."""
    raw = mail("one", "evil \x1b[31mred\x07 =?utf-8?q?=1b[0m?= end").replace(
        b"a@example.com", b"\x1b]0;x\x07 <a@b>")
    with FakeImap([raw, mail("two", "bad")]) as imap:
        configure(program, imap, rspamd)
        rspamd.answer = lambda _: http(400, "Bad", b'{"error":"no \\u001b[2J way"}')
        out = program("learn").out
        assert "no \\x1b[2J way" in out and 'subject="evil [31mred [0m end"' in out, out
        assert "\x1b" not in out and "\x07" not in out


def test_the_manual_knows_each_exit_status(program: Program) -> None:
    """C26: what the tests of this folder expect is in the manual."""
    page = (ROOT / "docs" / "learnspool.1").read_text()
    said = set(re.findall(r"\d+", " ".join(re.findall(
        r"^\.It ([\d ,]+)$", page.partition(".Sh EXIT STATUS")[2].partition(".Sh")[0],
        re.MULTILINE))))
    assert said == {"0", "1", "64", "65", "69", "70", "74", "75", "77", "78", "130", "143"}


# ---- C27: proxies ----

def test_imap_obeys_no_proxy(program: Program, rspamd: FakeController) -> None:
    """C27: neither IMAP nor rspamd."""
    proxies = {f"{name}_proxy": f"socks5h://127.0.0.1:{free_port()}"
               for name in ("all", "ALL", "http", "https", "imap", "imaps")}
    with FakeImap(mails(1)) as imap:
        configure(program, imap, rspamd)
        good(program("learn", env={**proxies, "ALL_PROXY": proxies["all_proxy"]}))
        assert imap.flags() == {1: MARKED}


# ---- D28: secrets ----

def test_a_password_command_inherits_nothing(program: Program, rspamd: FakeController) -> None:
    """D28: neither the ledger nor rspamd's sockets."""
    script = program.folder / "password"
    script.write_text("#!/bin/sh\nls -l /proc/self/fd >&2\n"
                      f"ls -l /proc/$$/fd > {program.folder}/open\necho secret\n")
    script.chmod(0o700)
    with FakeImap(mails(1)) as imap, FakeImap(mails(1)) as second:
        configure_all(program, {SPAM: (imap, BOX["spam"]), HAM: (second, BOX["ham"])}, rspamd)
        text = program.config.read_text()
        secret_file(program.config,
                    re.sub(r'password-file = "[^"]*"', f'password-command = "{script}"', text))
        good(program("learn"))
        opened = (program.folder / "open").read_text()
        assert "pipe:" in opened
        assert ".mdb" not in opened and "socket:" not in opened and "run.lock" not in opened, opened


def heap(pid: int) -> bytes:
    """All that the process can write, but for its stacks."""
    found = b""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            first, last = (int(part, 16) for part in place.split("-"))
            try:
                memory.seek(first)
                found += memory.read(last - first)
            except OSError:
                continue
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the program's memory")
@pytest.mark.parametrize("capabilities", [CAPABILITIES, "IMAP4rev1 UIDPLUS",
                                          "IMAP4rev1 AUTH=PLAIN"])
def test_no_copy_of_a_password_is_kept(program: Program, rspamd: FakeController, capabilities: str,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """D28: while SELECT waits, the password is nowhere in memory, neither plain nor encoded."""
    # A sanitizer's quarantine keeps what was freed, and its shadow takes minutes to read.
    monkeypatch.setenv("LEARNSPOOL", os.environ.get("LEARNSPOOL_PLAIN", str(binary())))
    word = "Kennwort-4711-geheim"
    with FakeImap(mails(1), {"SELECT": lambda _: then_silence()},
                  capabilities=capabilities) as imap:
        configure(program, imap, rspamd, account="timeout = 20s")
        for path in program.folder.glob("*.password"):
            if "rspamd" not in path.name:
                secret_file(path, word + "\n")
        run = program.start("learn")
        try:
            wait_until(lambda: imap.count("SELECT") > 0, 20, "the mailbox is opened")
            time.sleep(0.2)
            memory = heap(run.pid)
        finally:
            run.kill()
            run.communicate()
        assert b"imap://" in memory
        assert word.encode() not in memory
        assert base64.b64encode(f"\0{SPAM}\0{word}".encode()) not in memory


# ---- D29: numbers in any order ----

class Descending(FakeImap):
    """So many messages, all marked, and found from the last to the first."""

    def __init__(self, n: int) -> None:
        super().__init__(capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS")
        self.n, self.uidnext = n, n + 1

    def _do_select(self, rest: str) -> bytes:
        return super()._do_select(rest).replace(b"* 0 EXISTS", b"* %d EXISTS" % self.n)

    def _do_uid_search(self, rest: str) -> bytes:
        first, last = map(int, rest.rpartition("UID ")[2].split(":"))
        # Every second number, so that no two are one range.
        uids = range(min(last, 2 * self.n), first - 1, -2)
        return ("* SEARCH " + " ".join(map(str, uids)) + "\r\n").encode()

    def _do_uid_fetch(self, rest: str) -> bytes:
        answer = []
        for part in rest.partition(" ")[0].split(","):
            first, _, last = part.partition(":")
            answer += [f"* 1 FETCH (UID {uid} FLAGS ($LearnedSpam) RFC822.SIZE 9)\r\n"
                       for uid in range(int(first), int(last or first) + 1)]
        return "".join(answer).encode()


def test_numbers_may_come_in_any_order(program: Program, rspamd: FakeController) -> None:
    """D29: 49,000 that descend, no two of them neighbours, in one answer: each is found. (What it
    cost is seen with more only; the program asks for no more at a time.)"""
    with Descending(49_000) as imap:
        imap.uidnext = 2 * imap.n + 1
        configure(program, imap, rspamd, account="timeout = 60s")
        assert "49000 known" in good(program("learn", timeout=300)).out


# ---- D31: an account that hangs ----

@pytest.mark.parametrize("lies", [{"GREETING": lambda _: then_silence()},
                                  {"AUTHENTICATE": lambda _: then_silence()}],
                         ids=["greeting", "log-in"])
def test_an_account_that_hangs_stops_nobody(program: Program, rspamd: FakeController,
                                            lies: dict[str, object]) -> None:
    """D31: while one account's log-in hangs, the accounts behind it are learned; then it gets its
    whole time."""
    with FakeImap(mails(1), lies) as hangs, FakeImap([mail("h1")]) as ham, \
            FakeImap([mail("j1")]) as junk:
        configure_all(program, {SPAM: (hangs, BOX["spam"]), HAM: (ham, BOX["ham"]),
                                ALICE: (junk, BOX["junk"])}, rspamd)
        secret_file(program.config, program.config.read_text().replace("timeout = 2s",
                                                                      "timeout = 30s"))
        run = program.start("learn")
        try:
            wait_until(lambda: len(rspamd.learns) == 2, 25, "the others are learned")
            assert run.poll() is None  # and it is still waited for
        finally:
            run.kill()
            run.communicate()


def test_a_slow_account_is_learned_in_the_end(program: Program, rspamd: FakeController) -> None:
    """D31: slow, not dead: it is learned last, and nothing is said of it."""
    def slowly(honest: bytes) -> Iterator[bytes]:
        time.sleep(13)
        yield honest

    with FakeImap([mail("s1")], {"GREETING": slowly}) as slow, FakeImap([mail("h1")]) as ham:
        configure_all(program, {SPAM: (slow, BOX["spam"]), HAM: (ham, BOX["ham"])}, rspamd)
        secret_file(program.config, program.config.read_text().replace("timeout = 2s",
                                                                      "timeout = 30s"))
        done = good(program("learn"))
        assert done.err == "" and [word for _, word in verdicts(rspamd)] == ["h1", "s1"]


# ---- D30: nothing is computed from no pointer ----

@pytest.mark.parametrize("raw", [b"", b"\r\n", b"\r\n\r\n", b"x", b"From: a@b\r\n\r\n",
                                 b"X-Learnspool-Report: v1; class=spam; user=a@b; token=x\r\n"],
                         ids=["nothing", "a line end", "two", "a letter", "no body", "a report"])
def test_messages_of_next_to_nothing(program: Program, rspamd: FakeController, raw: bytes) -> None:
    """D30: what has no bytes goes the way of all others; sanitizers of clang see to the pointers.
    What rspamd is sent is what there is."""
    with FakeImap([raw, mail("one")]) as imap:
        configure(program, imap, rspamd)
        assert program("learn").rc in (0, 1)
        assert ("spam", "one") in verdicts(rspamd) and imap.flags()[2] == MARKED


def test_a_terminal_is_told_no_number_that_is_not_so(program: Program,
                                                     rspamd: FakeController) -> None:
    """B12: with --max 4 of 9 there are not 4 new, and what is tried again is not new either."""
    with FakeImap(mails(8) + [mail("bad", "bad")]) as imap:
        configure(program, imap, rspamd)
        out = on_terminal(program, 80, "xterm", "--max", "4").decode()
        assert "4 to look at" in out and "4 new" not in out and "5 left for the next run" in out
        on_terminal(program, 80, "xterm")
        assert " new" not in on_terminal(program, 80, "xterm").decode()
