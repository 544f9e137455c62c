"""The command line of the script that this program succeeds: flags without a command, with and
without a configuration; passwords that nobody else sees; and the lines of its guide."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from fakes import LEARNED, FakeController, FakeImap, configure
from program import Program, Result, Rig, binary, environment, secret_file
from servers import Stack, temporary_folder, wait_until

SPAM, HAM = "spam@example.org", "ham@example.org"
NOBODY = 65534
SEEN = (r"\Seen",)


def mail(word: str) -> bytes:
    return f"From: a@example.com\r\nSubject: offer\r\n\r\nwords of {word}\r\n".encode()


class Script:
    """The program in the place of the script: it has no configuration, or its own in the place
    where the program looks for one."""

    def __init__(self, folder: Path, stack: Stack, rspamd: FakeController) -> None:
        self.folder, self.stack, self.rspamd = folder, stack, rspamd
        self.path = folder / "learnspool"
        self.config, self.ledger = folder / "c", folder / "l"
        self.program = Program(folder)
        self.program.ledger.rmdir()
        self.program.config, self.program.ledger = self.config, self.ledger
        # The configuration and the ledger of this machine are not for tests. The places where the
        # program looks are those in its working directory, by paths that are not longer.
        program = binary().read_bytes()
        for real, ours in ((b"/etc/learnspool/learnspool.conf", b"/proc/self/cwd/c"),
                           (b"/var/lib/learnspool", b"/proc/self/cwd/l")):
            program = program.replace(real + b"\0", ours.ljust(len(real) + 1, b"\0"))
        self.path.write_bytes(program)
        self.path.chmod(0o755)

    @property
    def servers(self) -> list[str]:
        return ["--imap-host", "localhost", "--imap-port", str(self.stack.dovecot.port),
                "--ca-file", str(self.stack.authority.cert), "--rspamd-url", self.rspamd.url]

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """An ordinary user's ledger is in this home."""
        return environment({"HOME": str(self.folder), "XDG_STATE_HOME": "", **(env or {})})

    def __call__(self, *args: str, env: Mapping[str, str] | None = None, servers: bool = True,
                 user: int | None = None) -> Result:
        """Without a terminal."""
        done = subprocess.run([self.path, *args, *(self.servers if servers else [])],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              start_new_session=True, cwd=self.folder, user=user,
                              env=self.environment(env))
        return Result(done.returncode, done.stdout, done.stderr)

    def configure(self, accounts: Mapping[str, str], *, password: bool = True) -> None:
        """In the place where the program looks."""
        self.program.configure(Rig(self.rspamd, self.stack.dovecot, self.stack.authority), accounts)
        if not password:
            lines = self.config.read_text().splitlines(keepends=True)
            secret_file(self.config, "".join(line for line in lines
                                             if not line.startswith("    password-file")))

    def learned(self) -> list[tuple[str, str]]:
        """Class and word of what rspamd was taught since the last call."""
        found = sorted((request.path.removeprefix("/learn"),
                        request.body.split(b"words of ")[1].split()[0].decode())
                       for request in self.rspamd.learns)
        self.rspamd.requests.clear()
        return found


@pytest.fixture
def script(stack: Stack, rspamd: FakeController) -> Iterator[Script]:
    folder = temporary_folder()
    folder.chmod(0o755)
    yield Script(folder, stack, rspamd)
    shutil.rmtree(folder)


@pytest.fixture
def users(script: Script) -> Script:
    """Two users, each with mail in Junk Mail and, read and unread, in INBOX."""
    for user in (SPAM, HAM):
        name = user.partition("@")[0]
        script.stack.dovecot.append_many(user, "Junk Mail", [mail(f"{name}-junk")])
        script.stack.dovecot.append_many(user, "INBOX", [(mail(f"{name}-read"), SEEN, None),
                                                         mail(f"{name}-unread")])
    return script


def of(*names: str) -> list[tuple[str, str]]:
    """What is learned of these users."""
    return sorted((kind, f"{name}-{box}") for name in names
                  for kind, box in (("spam", "junk"), ("ham", "read")))


def good(done: Result) -> Result:
    assert done.rc == 0, done
    return done


def one_line(done: Result, rc: int, *words: str) -> None:
    assert done.rc == rc and done.err.count("\n") == 1, done
    assert all(word in done.err for word in words), done.err


SECRET = {"IMAP_PASSWORD": "secret"}


# ---- without a configuration ----

def test_the_script_without_a_configuration(users: Script) -> None:
    """--train, --stats and --reset: Junk Mail is spam, what was read in INBOX is ham; nothing is
    deleted, a second run learns nothing, and after a reset all is taught anew."""
    box = users.stack.dovecot.messages
    before = box(SPAM, "Junk Mail"), box(SPAM)
    train = ["--train", "--imap-user", SPAM]
    done = good(users(*train, env=SECRET))
    assert done.err == "" and users.learned() == of("spam")
    assert (box(SPAM, "Junk Mail"), box(SPAM)) == before
    good(users(*train, env=SECRET))
    assert users.learned() == []
    assert "spam 1, ham 1" in good(users("--stats")).out
    one_line(users("--reset"), 64, "--yes")
    good(users("--reset", "--yes"))
    good(users(*train, env=SECRET))
    assert users.learned() == of("spam")


@pytest.mark.parametrize("form", ["--imap-user U --imap-password P", "--username U --password P",
                                  "--username=U --password=P", "--imap-user=U --imap-password=P",
                                  "--user U --pass P"])
def test_user_and_password(users: Script, form: str) -> None:
    """Each spelling, and abbreviations as the script took them; with a warning that names the
    better ways, and not the password."""
    words = [word.replace("U", SPAM).replace("P", "secret") for word in form.split()]
    done = good(users("--train", *words))
    assert users.learned() == of("spam")
    assert done.err.count("\n") == 1 and "secret" not in done.out + done.err
    assert "IMAP_PASSWORD" in done.err and "password-file" in done.err
    assert good(users("-q", "--train", *words)).err == ""


def test_folders_and_max(users: Script) -> None:
    """--spam-folder, --ham-folder and --max."""
    dovecot = users.stack.dovecot
    dovecot.append_many(SPAM, "Spam box", [mail("one"), mail("two"), mail("three")])
    dovecot.append_many(SPAM, "NotSpam", [mail("four")])
    words = ["--train", "--imap-user", SPAM, "--spam-folder", "Spam box",
             "--ham-folder", "NotSpam"]
    good(users(*words, "--max", "2", env=SECRET))
    assert len(users.learned()) == 2
    good(users(*words, env=SECRET))
    assert len(users.learned()) == 2
    assert "would" in good(users(*words, "--dry-run", "--ham-folder", "INBOX", env=SECRET)).out
    assert users.learned() == []
    one_line(users("--train", "--imap-user", SPAM, "--spam-folder", "Junk Mial", env=SECRET), 78,
             "mailbox Junk Mial", '"Junk Mail"')


def test_the_environment_may_name_the_user(users: Script) -> None:
    good(users("--train", env={**SECRET, "IMAP_USER": HAM}))
    assert users.learned() == of("ham")


@pytest.mark.parametrize("words, rc, said", [
    ("--imap-user x", 64, ("--train", "--stats", "--reset")),
    ("--train --stats", 64, ("--train", "--stats", "--reset")),
    ("--train", 64, ("--imap-user",)),
    ("--train --imap-user x --imap-port 0", 64, ("--imap-port",)),
    ("--train --imap-user x --imap-port imaps", 64, ("--imap-port",)),
    ("--train --imap-user=", 64, ("--imap-user",)),
    ("--train --imap-user x --spam-folder NonExistent --ham-folder=", 78, ("no mailbox",)),
    ("--train --imap-user x --imap-host a/b", 78, ("url",)),
    ("--train --imap-user x --rspamd-url ftp://x", 78, ("rspamd", "url")),
    ("--train --config nowhere", 78, ("nowhere",)),
    ("--train --yes", 64, ("--yes",)),
    ("learn --imap-user x", 64, ("learn", "--imap-user")),
    ("stats --password x", 64, ("stats", "--imap-password")),
])
def test_what_is_wrong(script: Script, words: str, rc: int, said: tuple[str, ...]) -> None:
    """One line that names it."""
    one_line(script(*words.split(), servers=False, env=SECRET), rc, *said)


def test_a_port_of_starttls(users: Script) -> None:
    """Port 143 begins in plaintext, and asks for STARTTLS; nobody is there in a test."""
    done = users("--train", "--imap-user", SPAM, "--imap-host", "127.0.0.2", "--imap-port", "143",
                 "--rspamd-url", users.rspamd.url, servers=False, env=SECRET)
    one_line(done, 69, "imap://127.0.0.2:143")
    done = users("--train", "--imap-user", SPAM, "--imap-host", "::1", "--imap-port", "1",
                 "--rspamd-url", users.rspamd.url, servers=False, env=SECRET)
    one_line(done, 69, "imaps://[::1]:1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("state", [None, "state/deep"])
def test_an_ordinary_user(users: Script, state: str | None) -> None:
    """His ledger is in his own state folder, which only he can read; nothing else is written."""
    home = users.folder / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    ledger = home / (state or ".local/state") / "learnspool"
    env = {**SECRET, "HOME": str(home)} | ({"XDG_STATE_HOME": str(home / state)} if state else {})
    train = ["--train", "--imap-user", SPAM]
    good(users("--stats", env=env, user=NOBODY))
    good(users(*train, "--dry-run", env=env, user=NOBODY))
    assert list(home.iterdir()) == []
    good(users(*train, env=env, user=NOBODY))
    assert users.learned() == of("spam")
    assert ledger.stat().st_mode & 0o777 == 0o700 and not users.ledger.exists()
    assert "spam 1, ham 1" in good(users("--stats", env=env, user=NOBODY)).out


# ---- with a configuration ----

OWN = 'keep = true  mailbox "Junk Mail" { class = spam }  mailbox "INBOX" { class = ham  ' \
      'seen-only = true }'


def test_the_flags_with_a_configuration(users: Script) -> None:
    """All accounts of it; or the one that --imap-user names; or one that it does not have, on
    the server that all others are on."""
    users.configure({SPAM: OWN})
    good(users("--train", servers=False))
    assert users.learned() == of("spam")
    good(users("--train", "--username", HAM, servers=False, env=SECRET))
    assert users.learned() == of("ham")
    users.configure({SPAM: OWN, HAM: OWN})
    good(users("--reset", "--yes", servers=False))
    good(users("--train", "--username", HAM, servers=False))
    assert users.learned() == of("ham")
    one_line(users("--train", "--spam-folder", "X", servers=False), 64, "--spam-folder", "2",
             "--imap-user")
    good(users("--train", servers=False))
    assert users.learned() == of("spam")
    assert "spam 2, ham 2" in good(users("--stats", servers=False)).out


def test_the_flags_replace_folders(users: Script) -> None:
    """One class's folder is replaced, and the rest of the account stays as configured."""
    users.configure({SPAM: OWN})
    users.stack.dovecot.append_many(SPAM, "Reported", [mail("reported")])
    good(users("--train", "--spam-folder", "Reported", servers=False))
    assert users.learned() == [("ham", "spam-read"), ("spam", "reported")]


def test_which_password_counts(users: Script) -> None:
    """Command line, then environment, then file; for IMAP and for rspamd."""
    users.configure({SPAM: OWN})
    one_line(users("--train", servers=False, env={"IMAP_PASSWORD": "wrong"}), 77, SPAM)
    good(users("--train", "--password", "secret", servers=False, env={"IMAP_PASSWORD": "wrong"}))
    done = users("--train", "--password", "wrong", servers=False, env=SECRET)
    assert done.rc == 77 and "wrong" not in done.err
    users.rspamd.requests.clear()
    good(users("--train", servers=False))
    good(users("--stats", servers=False, env={"RSPAMD_PASSWORD": "of the environment"}))
    sent = [request.headers.get("password") for request in users.rspamd.requests]
    assert sent[0] == "q1" and sent[-1] == "of the environment"


def test_a_variable_is_no_password_of_several(users: Script) -> None:
    """IMAP_PASSWORD does not go to all accounts that have one of their own."""
    users.configure({SPAM: OWN, HAM: OWN})
    good(users("--train", servers=False, env={"IMAP_PASSWORD": "wrong"}))
    assert users.learned() == of("spam", "ham")


# ---- passwords are not seen ----

def in_process_list(pid: int) -> bytes:
    """What others can see of it: its arguments, by ps(1) and by themselves, and its environment,
    which only its own user and root can."""
    seen = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True).stdout
    for name in ("cmdline", "environ"):
        with contextlib.suppress(OSError):
            seen += Path(f"/proc/{pid}/{name}").read_bytes()
    return seen


@pytest.mark.parametrize("form", [["--imap-password", "tell-nobody"], ["--password=tell-nobody"],
                                  ["--imap-pass", "tell-nobody"]])
def test_a_password_is_wiped(script: Script, form: list[str]) -> None:
    """Once the program runs, it is neither in the process list, nor in what a child gets, nor in
    a log of the highest level."""
    seen = script.folder / "seen"
    command = f"(cat /proc/$PPID/cmdline; env) > '{seen}'; echo q1"
    script.rspamd.answer = lambda _: time.sleep(0.1) or LEARNED
    with FakeImap([mail(str(n)) for n in range(20)]) as imap:
        program = script.program
        configure(program, imap, script.rspamd, rspamd_lines="connections = 1")
        text = program.config.read_text()
        file = text.partition('password-file = "')[2].partition('"')[0]
        program.config.write_text(text.replace(f'password-file = "{file}"',
                                               f'password-command = "{command}"'))
        with subprocess.Popen([script.path, "-vv", "--log", "journal", "--train", *form],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              cwd=script.folder, env=script.environment()) as run:
            wait_until(lambda: b"tell-nobody" not in in_process_list(run.pid), 5, "it has started")
            looks = 0
            while run.poll() is None:
                assert b"tell-nobody" not in in_process_list(run.pid)
                looks += 1
            out, err = run.communicate()
    assert run.returncode == 0 and len(script.learned()) == 20 and looks > 5, (out, err)
    assert b"tell-nobody" not in out + err and b"command line" in err
    text = seen.read_text()
    assert "--train" in text and "PATH=" in text and "tell-nobody" not in text


# ---- the prompt ----

class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, script: Script, *args: str) -> None:
        self.end, self.side = pty.openpty()
        self.run = subprocess.Popen(
            [script.path, *args], stdin=self.side, stdout=self.side, stderr=self.side,
            start_new_session=True, cwd=script.folder, env=script.environment(),
            preexec_fn=self._take_terminal)
        self.pid = self.run.pid
        self.out = b""

    @staticmethod
    def _take_terminal() -> None:
        """With the signals as in a login shell; who runs tests in the background ignores some."""
        for sig in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(sig, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.side)[3] & termios.ECHO)

    def expect(self, text: bytes) -> None:
        deadline = time.monotonic() + 20
        while text not in self.out:
            assert time.monotonic() < deadline, self.out
            self.out += os.read(self.end, 4096)

    def finish(self) -> int:
        """The exit status, negative for a signal."""
        status = self.run.wait(20)
        while select.select([self.end], [], [], 0)[0]:
            self.out += os.read(self.end, 4096)
        assert self.echoes()
        os.close(self.side)
        os.close(self.end)
        return status


TRAIN = ["--train", "--imap-user", SPAM]


def test_the_prompt(users: Script) -> None:
    """It asks for whom, shows nothing of what is typed, and leaves the terminal as it was."""
    terminal = Terminal(users, *TRAIN, *users.servers)
    terminal.expect(f"IMAP password of {SPAM}: ".encode())
    assert not terminal.echoes()
    os.write(terminal.end, b"secret\n")
    terminal.expect(b"learned 2")
    assert terminal.finish() == 0 and b"secret" not in terminal.out
    assert users.learned() == of("spam")


@pytest.mark.parametrize("send, status", [
    (lambda t: os.write(t.end, b"\x03"), 130),
    (lambda t: os.kill(t.pid, signal.SIGTERM), 143),
    (lambda t: os.write(t.end, b"\x1c"), -signal.SIGQUIT),
    (lambda t: os.kill(t.pid, signal.SIGHUP), -signal.SIGHUP),
    (lambda t: os.write(t.end, b"\x04"), 78),
    (lambda t: os.write(t.end, b"\n"), 78),
], ids=["INT", "TERM", "QUIT", "HUP", "end of file", "nothing"])
def test_a_prompt_that_is_left(users: Script, send: Callable[[Terminal], object],
                               status: int) -> None:
    """Whatever ends it, the terminal echoes again, and nothing is learned."""
    terminal = Terminal(users, *TRAIN, *users.servers)
    terminal.expect(b": ")
    send(terminal)
    assert terminal.finish() == status
    assert users.learned() == [] and users.rspamd.requests == []


def test_a_prompt_that_is_stopped(users: Script) -> None:
    """Ctrl-Z gives the terminal back; then it asks again."""
    terminal = Terminal(users, *TRAIN, *users.servers)
    terminal.expect(b": ")
    os.kill(terminal.pid, signal.SIGTSTP)
    # An orphaned process group is not stopped by it (POSIX); it only asks again.
    terminal.expect(b": \r\nIMAP password of")
    wait_until(lambda: not terminal.echoes(), 5, "asked again")
    os.write(terminal.end, b"secret\n")
    assert terminal.finish() == 0 and users.learned() == of("spam")


def test_the_prompt_with_a_configuration(users: Script) -> None:
    """For each account to which nothing gave a password."""
    users.configure({SPAM: OWN, HAM: OWN}, password=False)
    terminal = Terminal(users, "--train")
    for user in (SPAM, HAM):
        terminal.expect(f"IMAP password of {user}: ".encode())
        os.write(terminal.end, b"secret\n")
    assert terminal.finish() == 0 and users.learned() == of("spam", "ham")
    assert "spam 2, ham 2" in good(users("--stats", servers=False)).out


def test_no_prompt_without_a_terminal(users: Script) -> None:
    """One line, and nothing is contacted."""
    done = users("--train", "--imap-user", SPAM)
    one_line(done, 78, SPAM, "IMAP_PASSWORD", "no terminal")
    assert users.rspamd.requests == []


# ---- the lines of the script's guide: only the program's name is another ----

def sh(text: str, script: Script) -> Result:
    """Runs it as cron does."""
    for word, path in (("PROGRAM", script.path), ("LOG", script.folder / "log")):
        text = text.replace(word, shlex.quote(str(path)))
    done = subprocess.run(["sh", "-c", text], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, start_new_session=True, cwd=script.folder,
                          env=script.environment())
    return Result(done.returncode, done.stdout, done.stderr)


def test_the_cron_line(users: Script) -> None:
    """The variable before the program."""
    users.configure({SPAM: OWN}, password=False)
    done = sh('export IMAP_PASSWORD="secret" && PROGRAM --train >> LOG 2>&1', users)
    assert good(done).out == "" and users.learned() == of("spam")
    assert "learned 2" in (users.folder / "log").read_text()


def test_the_line_with_everything(users: Script) -> None:
    """User, password and folders on the command line, over several lines."""
    users.configure({SPAM: OWN}, password=False)
    good(sh(f'PROGRAM --train \\\n  --imap-user {HAM} \\\n  --imap-password "secret"\n', users))
    assert users.learned() == of("ham")
    good(sh('IMAP_PASSWORD=secret PROGRAM --train \\\n  --spam-folder "Junk Mail" \\\n'
            '  --ham-folder "INBOX"\n', users))
    assert users.learned() == of("spam")


def test_the_loop_over_users(users: Script) -> None:
    """The wrapper of many users, with --imap-user, for which its guide leaves the place."""
    users.configure({SPAM: OWN}, password=False)
    loop = f"""
for user_pass in "{SPAM}:secret" "{HAM}:secret"; do
    user="${{user_pass%%:*}}"
    pass="${{user_pass#*:}}"
    export IMAP_PASSWORD="$pass"
    PROGRAM --train --imap-user "$user" --max 1000 2>&1 | tee -a LOG
done
"""
    good(sh(loop, users))
    assert users.learned() == of("spam", "ham")


def test_the_wrapper_of_collection_accounts(users: Script) -> None:
    """It names the user in the environment, and a folder that is not there for the class that the
    account does not have. All of ham@'s INBOX is ham: it is a collection."""
    users.configure({SPAM: OWN}, password=False)
    wrapper = f"""
export IMAP_PASSWORD="secret"
export IMAP_USER="{SPAM}"
PROGRAM --train --spam-folder "INBOX" --ham-folder "NonExistent" 2>&1 | tee -a LOG
export IMAP_USER="{HAM}"
PROGRAM --train --spam-folder "NonExistent" --ham-folder "INBOX" 2>&1 | tee -a LOG
"""
    assert "NonExistent" not in good(sh(wrapper, users)).out
    assert users.learned() == [("ham", "ham-read"), ("ham", "ham-unread"),
                               ("spam", "spam-read"), ("spam", "spam-unread")]


def test_the_unit(users: Script) -> None:
    """Environment= and ExecStart= of the service: no shell, no terminal, hardly a variable."""
    users.configure({SPAM: OWN}, password=False)
    unit = f"""[Service]
Type=oneshot
Environment="IMAP_PASSWORD=secret"
ExecStart="{users.path}" --train
"""
    lines = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    name, _, value = shlex.split(lines["Environment"])[0].partition("=")
    done = subprocess.run(shlex.split(lines["ExecStart"]), stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, start_new_session=True, cwd=users.folder,
                          env={name: value})
    assert done.returncode == 0 and done.stderr == "", done
    assert users.learned() == of("spam")


def test_the_file_with_the_variables(users: Script) -> None:
    """The guide's safer way: a file that exports both passwords, sourced before the program."""
    users.configure({SPAM: OWN}, password=False)
    file = secret_file(users.folder / "train-env",
                       "export IMAP_PASSWORD=secret\nexport RSPAMD_PASSWORD=other\n")
    good(sh(f". {shlex.quote(str(file))} && PROGRAM --train --max 5000 2>&1 | cat", users))
    assert {request.headers.get("password") for request in users.rspamd.requests} == {"other"}
    assert users.learned() == of("spam")


def test_the_alarm_and_the_weekly_mail(users: Script) -> None:
    """if ! PROGRAM --train; and --stats through a pipe."""
    users.configure({SPAM: OWN}, password=False)
    alarm = 'if ! PROGRAM --train > /dev/null; then echo "Training failed!"; fi'
    done = sh(alarm, users)
    assert done.out == "Training failed!\n" and "IMAP_PASSWORD" in done.err
    assert sh(f"export IMAP_PASSWORD=secret; {alarm}", users).out == ""
    assert "spam 1, ham 1" in sh("PROGRAM --stats | cat", users).out


def test_help_names_each_flag(script: Script) -> None:
    out = script("--help", servers=False).out
    for flag in ("train", "stats", "reset", "imap-user", "username", "imap-password", "password",
                 "spam-folder", "ham-folder", "max", "imap-host", "imap-port", "ca-file",
                 "rspamd-url", "yes"):
        assert f"--{flag}" in out


# ---- the script's state file ----

def state_file(script: Script, spam: list[object], ham: list[object]) -> str:
    """As the script writes it: UIDs as text, in any order."""
    path = script.folder / "state.json"
    path.write_text(json.dumps({"spam_uids": spam, "ham_uids": ham,
                                "last_run": "2025-11-14T18:30:00.123456"}, indent=2))
    return str(path)


def test_import_of_the_state(users: Script) -> None:
    """What the script trained is learned neither by the next run nor by a later one; what is new
    is; what is gone is said; and importing twice changes nothing."""
    dovecot = users.stack.dovecot
    dovecot.append_many(SPAM, "Junk Mail", [mail("later")])
    state = state_file(users, ["900", "1"], ["2", "1"])
    words = ["--reset", "--import-state", state, "--imap-user", SPAM]
    before = dovecot.flags(SPAM), dovecot.flags(SPAM, "Junk Mail")
    out = good(users(*words, env=SECRET)).out
    assert "Junk Mail: of 2 messages that the script had trained 1 are known now, 0 were " in out
    assert "INBOX: of 2 messages that the script had trained 2 are known now" in out
    assert (dovecot.flags(SPAM), dovecot.flags(SPAM, "Junk Mail")) == before
    assert users.rspamd.requests == []
    out = good(users(*words, env=SECRET)).out
    assert "0 are known now, 1 were recorded already, 1 are no longer there" in out
    for _ in range(2):
        good(users("--train", "--imap-user", SPAM, env=SECRET))
        dovecot.append_many(SPAM, "INBOX", [(mail("new"), SEEN, None)])
    assert users.learned() == [("ham", "new"), ("spam", "later")]
    assert r"$LearnedSpam" in dovecot.flags(SPAM, "Junk Mail")[1]


def test_import_by_the_command(users: Script) -> None:
    """reset --import-state, of one account of several, after which nothing was forgotten."""
    users.configure({SPAM: OWN, HAM: OWN})
    good(users("learn", "--account", HAM, servers=False))
    assert users.learned() == of("ham")
    state = state_file(users, [1], [1])
    one_line(users("reset", "--import-state", state, servers=False), 64, "--account")
    good(users("reset", "--import-state", state, "--account", SPAM, servers=False))
    good(users("learn", servers=False))
    assert users.learned() == []
    assert "spam 1, ham 1" in good(users("stats", servers=False)).out


@pytest.mark.parametrize("text, words", [
    (None, "No such file"), ("", "state.json"), ("[]", "spam_uids"), ("{}", "spam_uids"),
    ('{"spam_uids": []}', "ham_uids"), ('{"spam_uids": {}, "ham_uids": []}', "spam_uids"),
    ('{"spam_uids": ["x"], "ham_uids": []}', "item 1"),
    ('{"spam_uids": ["1", "0"], "ham_uids": []}', "item 2"),
    ('{"spam_uids": [4294967296], "ham_uids": []}', "item 1"),
    ('{"spam_uids": [-1], "ham_uids": []}', "item 1"),
    ('{"spam_uids": [1.5], "ham_uids": []}', "item 1"),
    ('{"spam_uids": [], "ham_uids": ["1\\u0000"]}', "u0000"),
])
def test_a_state_that_is_none(users: Script, text: str | None, words: str) -> None:
    """One line, and no ledger is made."""
    path = users.folder / "state.json"
    if text is not None:
        path.write_text(text)
    done = users("--reset", "--import-state", str(path), "--imap-user", SPAM, env=SECRET)
    one_line(done, 78, "state.json", words)
    assert not users.ledger.exists()


def test_what_does_not_go_with_a_state(users: Script) -> None:
    users.configure({SPAM: OWN})
    one_line(users("reset", "--import-state", "x", "--retrain", servers=False), 64, "--retrain")
    one_line(users("reset", "--account", SPAM, servers=False), 64, "--account")
    one_line(users("learn", "--import-state", "x", servers=False), 64, "learn", "--import-state")
    users.configure({SPAM: OWN + 'mailbox "More" { class = spam }'})
    one_line(users("reset", "--import-state", "x", servers=False), 78, "spam", "several")
