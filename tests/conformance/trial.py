"""One thing tried on one server: users of its own, a ledger of its own, an rspamd that knows
nothing, and the program under test."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import corpus
from backend import PASSWORD, Backend
from client import Client
from program import ROOT, Result, binary, environment, secret_file
from proxy import Proxy
from servers import Rspamd

FAULT = ROOT / "build" / "fault" / "learnspool"
SECONDS = 180  # for one run of the program


class Skip(Exception):
    """It cannot be tried on this server; the text is the reason."""


class ServerFault(Exception):
    """The server itself does what no client can put right; the text is what."""


class Failed(Exception):
    """Nothing more to be learned from going on."""


def plain(raw: bytes) -> bytes:
    """Without the kind of line ends, which some servers change."""
    return raw.replace(b"\r\n", b"\n").rstrip(b"\n")


@functools.cache
def mails(kind: str) -> list[bytes]:
    """Real mail that rspamd knows again, shortest first."""
    found = corpus.spam() if kind == "spam" else corpus.ham()
    return sorted(corpus.short(found, 40), key=len)


SHORT = b"From: a@example.org\nSubject: short\n\nthree words only\n"


def again(raw: bytes) -> bytes:
    """The same content by another way."""
    return b"Received: from elsewhere by here; Thu, 1 Jan 2026 00:00:00 +0000\n" + raw


class Between(Proxy):
    """Stands between the program and the server, in the clear on the program's side. It hides
    capabilities and permanent flags, changes words of commands, and does something before a command
    goes on."""

    def __init__(self, server: Backend, *, hide: Iterable[str] = (), flags: Iterable[str] = (),
                 change: Mapping[bytes, bytes] | None = None,
                 before: bytes = b"", do: Callable[[], None] | None = None) -> None:
        self.server = server
        self.hide = [word.encode() for word in hide]
        self.flags = {flag.encode() for flag in flags}
        self.change = dict(change or {})
        self.before, self.do = before, do
        self.commands = b""  # all that the program sent
        self.error = ""  # what went wrong in do
        super().__init__(server.port or server.starttls_port)

    def serve(self, link: Any) -> None:
        if not self.server.port:
            link.sendall(b"* OK ready\r\n")
        super().serve(link)

    def _reach(self) -> Any:
        link = self.server.dial()
        link.settimeout(None)
        return link

    def _carry(self, stream: bytes, new: int, sink: Any, up: bool) -> None:
        data = stream[-new:]
        sink.sendall(self._upward(data) if up else self._downward(data))

    def _upward(self, data: bytes) -> bytes:
        self.commands += data
        if self.do and self.before in data:
            do, self.do = self.do, None
            try:
                do()
            except Exception as error:  # in a thread: told by the check
                self.error = repr(error)
        for theirs, ours in self.change.items():
            data = data.replace(theirs, ours)
        return data

    def _downward(self, data: bytes) -> bytes:
        def without(line: re.Match[bytes]) -> bytes:
            words = line[0]
            for word in self.hide:
                words = re.sub(rb"\b%b\b" % re.escape(word), b"X" + word[1:], words, flags=re.I)
            return words

        def fewer(match: re.Match[bytes]) -> bytes:
            kept = [flag for flag in match[1].split() if flag not in self.flags]
            return b"[PERMANENTFLAGS (" + b" ".join(kept) + b")]"

        data = re.sub(rb"\[PERMANENTFLAGS \(([^)]*)\)\]", fewer, data)
        return re.sub(rb"(\* CAPABILITY|\[CAPABILITY)[^\r\n]*", without, data)


class Trial:
    def __init__(self, server: Backend, rspamd: Rspamd) -> None:
        self.server, self.rspamd = server, rspamd
        self.failures: list[str] = []
        self.notes: list[str] = []
        self._closing: list[Any] = []
        self._folder = tempfile.TemporaryDirectory(prefix="learnspool-trial-")
        self.folder = Path(self._folder.name)
        self.config = self.folder / "learnspool.conf"
        self.ledger = self.folder / "ledger"
        self.last = Result(0, "", "")
        rspamd.forget()

    def close(self) -> None:
        for thing in reversed(self._closing):
            thing.__exit__(None, None, None)
        self._folder.cleanup()

    # Expectations.

    def expect(self, holds: object, what: str) -> bool:
        """What has to be; it goes on where it is not."""
        if not holds:
            self.failures.append(what)
        return bool(holds)

    def need(self, holds: object, what: str) -> None:
        """What has to be, without which nothing more can be said."""
        if not self.expect(holds, what):
            raise Failed

    def ran(self, result: Result, *status: int) -> Result:
        """It ended with one of these, or there is no going on."""
        self.need(result.rc in (status or (0,)), f"exit {result.rc}: {words_of(result)}")
        return result

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    # Users and their mail.

    def user(self) -> tuple[str, Client]:
        """A new one, logged in with an ordinary client."""
        name = self.server.new_user()
        return name, self.client(name)

    def client(self, user: str) -> Client:
        client = self.server.client(user)
        self._closing.append(client)
        return client

    def box(self, name: str) -> str:
        return self.server.prefix + name

    def between(self, **how: Any) -> Between:
        proxy = Between(self.server, **how)
        self._closing.append(proxy)
        return proxy

    # The program.

    def configure(self, accounts: Mapping[str, str], top: str = "", *,
                  via: Between | None = None, starttls: bool = False, rspamd: str = "",
                  password: str = PASSWORD) -> None:
        """Accounts maps users to their mailbox lines."""
        url = self.server.url(starttls)
        secure = f'ca-file = "{self.server.authority.cert}"'
        if via:
            url, secure = f"imap://localhost:{via.port}", "insecure = true"
        text = (f'rspamd {{ url = "{self.rspamd.url}"  password-file = '
                f'"{self._secret("rspamd", self.rspamd.password)}" {rspamd}}}\n'
                f'ledger = "{self.ledger}"\n{top}\n')
        for n, (name, lines) in enumerate(accounts.items()):
            text += (f'account "{name}" {{\n    url = "{url}"\n    {secure}\n'
                     f'    password-file = "{self._secret(str(n), password)}"\n'
                     f'    keep = false\n    {lines}\n}}\n')
        secret_file(self.config, text)

    def _secret(self, name: str, text: str) -> Path:
        return secret_file(self.folder / f"{name}.password", text + "\n")

    def __call__(self, *words: str, program: Path | None = None,
                 env: Mapping[str, str] | None = None) -> Result:
        command = [str(program or binary()), "--config", str(self.config), *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=SECONDS, env=environment(env))
        self.last = Result(done.returncode, done.stdout.decode("utf-8", "replace"),
                           done.stderr.decode("utf-8", "replace"))
        return self.last

    def records(self, what: str) -> list[dict[str, Any]]:
        """What the ledger has: "list" (contents) or "messages"."""
        done = self("ledger", what, "--json")
        return [json.loads(line) for line in done.out.splitlines()][1:]

    # What is looked at again and again.

    def marks(self, client: Client, mailbox: str) -> bool:
        """May marks be put there?"""
        return r"\*" in client.permanent_flags(mailbox)

    def holds(self, client: Client, mailbox: str, raws: Iterable[bytes]) -> bool:
        """Exactly these lie there."""
        found = sorted(plain(raw) for raw in client.bodies(mailbox).values())
        return found == sorted(plain(raw) for raw in raws)

    def learned(self, spam: int, ham: int) -> None:
        """By rspamd's own counters, and by nothing else."""
        found = self.rspamd.learns()
        self.expect(found == (spam, ham),
                    f"rspamd has learned {found[0]} spam and {found[1]} ham instead of {spam} and "
                    f"{ham}: {words_of(self.last)}")

    def named(self, result: Result, user: str, mailbox: str, operation: str) -> None:
        """The error names account, mailbox and operation (a pattern)."""
        lines = [line for line in (result.err + result.out).splitlines()
                 if user in line and mailbox in line]
        self.expect(any(re.search(operation, line, re.I) for line in lines),
                    f"no error names account {user}, mailbox {mailbox} and what was done "
                    f"({operation}): {words_of(result)}")


def words_of(result: Result) -> str:
    text = result.err.strip() or result.out.strip()
    text = " / ".join(text.splitlines()[-4:]) or "(nothing)"
    return text if len(text) <= 400 else text[:200] + " ... " + text[-200:]


def keywords(flags: Iterable[str]) -> set[str]:
    """Our marks among these; servers may fold their case."""
    ours = {"$learnedspam": "$LearnedSpam", "$learnedham": "$LearnedHam",
            "$learnskipped": "$LearnSkipped"}
    return {ours[flag.lower()] for flag in flags if flag.lower() in ours}
