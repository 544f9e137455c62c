"""An ordinary mail client, one command at a time: to put mail there, and to see what has become
of it. It keeps servers' exact words, which imaplib does not."""

from __future__ import annotations

import contextlib
import imaplib
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from servers import crlf, quoted


class Refused(Exception):
    """The server said NO or BAD; the text is what it was asked, and its answer."""


@dataclass
class Response:
    """One untagged response: its text, in which {} stands for each literal."""

    text: str
    literals: list[bytes] = field(default_factory=list)

    def uid(self) -> int:
        match = re.search(r"\bUID (\d+)", self.text)
        return int(match[1]) if match else 0


class Client:
    """Logged in; a with block logs it out. Names of mailboxes are as users see them."""

    def __init__(self, server: Any, user: str, password: str) -> None:
        self._server, self._login = server, (user, password)
        self._connect()

    def _connect(self) -> None:
        self._link = self._server.dial()
        self._lines = self._link.makefile("rb")
        self._mailbox: tuple[str, bool] | None = None
        if self._server.port:
            self._lines.readline()
        user, password = self._login
        self.run(f'LOGIN "{user}" "{password}"')
        words = self.run("CAPABILITY", of="CAPABILITY")[-1].text
        self.capabilities = set(words.upper().split()[2:])

    def _end(self) -> None:
        with contextlib.suppress(OSError, Refused):
            self.run("LOGOUT")
        self._link.close()

    def _again(self) -> None:
        self._end()
        self._connect()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def can(self, capability: str) -> bool:
        return any(word == capability or word.startswith(f"{capability}=")
                   for word in self.capabilities)

    def _responses(self) -> Iterator[Response]:
        """Up to the tagged one, or a request to go on; that comes last."""
        while True:
            got = Response("")
            while True:
                line = self._lines.readline()
                if not line:
                    raise OSError("the server closed the connection")
                match = re.search(rb"\{(\d+)\}\r\n\Z", line)
                if not match:
                    break
                got.text += line[:match.start()].decode("utf-8", "replace") + "{}"
                got.literals.append(self._lines.read(int(match[1])))
            got.text += line.decode("utf-8", "replace").rstrip("\r\n")
            yield got
            if got.text.startswith(("x ", "+")):
                return

    def run(self, command: str, literal: bytes | None = None, of: str = "") -> list[Response]:
        """What it answered, or only the responses of a name (SEARCH, FETCH ...)."""
        line = command if literal is None else f"{command} {{{len(literal)}}}"
        self._link.sendall(f"x {line}\r\n".encode())
        got = list(self._responses())
        if literal is not None and got[-1].text.startswith("+"):
            self._link.sendall(literal + b"\r\n")
            got += self._responses()
        if not got[-1].text.startswith("x OK"):
            shown = re.sub(r"^(LOGIN \S+).*", r"\1", line)
            raise Refused(f"{shown}: {got[-1].text[2:]}")
        return [r for r in got if not of or re.match(rf"\* (\d+ )?{of}\b", r.text)]

    # Mailboxes.

    def create(self, mailbox: str, use: str = "") -> None:
        self.run(f"CREATE {quoted(mailbox)}" + (f" (USE ({use}))" if use else ""))
        with contextlib.suppress(Refused):
            self.run(f"SUBSCRIBE {quoted(mailbox)}")

    def delete(self, mailbox: str) -> None:
        self.leave()
        self.run(f"DELETE {quoted(mailbox)}")

    def select(self, mailbox: str, read_only: bool = True) -> list[Response]:
        self.leave()
        if self._server.forgetful:
            self._again()
        got = self.run(f"{'EXAMINE' if read_only else 'SELECT'} {quoted(mailbox)}")
        self._mailbox = mailbox, read_only
        return got

    def gives_uidnext(self, mailbox: str) -> bool:
        return any("[UIDNEXT " in got.text for got in self.select(mailbox))

    def leave(self) -> None:
        """Nothing is selected any more, and nothing is expunged by that."""
        if self._mailbox:
            if self.can("UNSELECT"):
                self.run("UNSELECT")
                self._mailbox = None
            else:
                self._again()

    def uidvalidity(self, mailbox: str) -> int:
        got = self.run(f"STATUS {quoted(mailbox)} (UIDVALIDITY)", of="STATUS")
        return int(re.search(r"UIDVALIDITY (\d+)", got[-1].text)[1])  # type: ignore[index]

    def permanent_flags(self, mailbox: str) -> str:
        for got in self.select(mailbox, read_only=False):
            if match := re.search(r"\[PERMANENTFLAGS \(([^)]*)\)", got.text):
                return match[1]
        return ""

    def list(self, words: str) -> list[tuple[str, str]]:
        """(attributes, name as on the wire) of LIST with these words."""
        found = []
        for got in self.run(f"LIST {words}", of="LIST"):
            if match := re.match(r'\* LIST \(([^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (.*)', got.text):
                name = got.literals[0].decode() if match[2].startswith("{}") else match[2]
                name = re.sub(r' \(.*\)$', "", name)  # extended data
                found.append((match[1], re.sub(r"\\(.)", r"\1", name.strip('"'))))
        return found

    def separator(self) -> str:
        got = self.run('LIST "" ""', of="LIST")
        match = re.match(r'\* LIST \([^)]*\) "\\?(.)"', got[-1].text)
        return match[1] if match else ""

    # Messages.

    def append(self, mailbox: str, *mails: bytes, flags: str = "",
               date: float | None = None) -> list[bytes]:
        """As the server keeps them, which need not be as they were."""
        before = self.bodies(mailbox)
        self.leave()  # Courier takes nothing while a mailbox is examined
        when = imaplib.Time2Internaldate(date or time.time())
        words = f"APPEND {quoted(mailbox)}" + (f" ({flags})" if flags else "")
        for raw in mails:
            self.run(f"{words} {when}", crlf(raw))
        return [raw for uid, raw in sorted(self.bodies(mailbox).items()) if uid not in before]

    def search(self, mailbox: str, criteria: str = "ALL") -> set[int]:
        self.select(mailbox)
        return {int(uid) for got in self.run(f"UID SEARCH {criteria}", of="SEARCH")
                for uid in got.text.split()[2:] if uid.isdigit()}

    def _fetch(self, mailbox: str, what: str) -> list[Response]:
        # Some refuse FETCH in an empty mailbox.
        if not any(re.match(r"\* [1-9]\d* EXISTS", got.text) for got in self.select(mailbox)):
            return []
        return self.run(f"UID FETCH 1:* ({what})", of="FETCH")

    def flags(self, mailbox: str) -> dict[int, frozenset[str]]:
        """The flags of each UID but for \\Recent, which comes and goes by itself."""
        found = {}
        for got in self._fetch(mailbox, "UID FLAGS"):
            flags = re.search(r"FLAGS \(([^)]*)\)", got.text)[1].split()  # type: ignore[index]
            found[got.uid()] = frozenset(flag for flag in flags if flag.lower() != "\\recent")
        return found

    def sizes(self, mailbox: str) -> dict[int, int]:
        got = self._fetch(mailbox, "UID INTERNALDATE RFC822.SIZE")
        return {each.uid(): int(re.search(r"SIZE (\d+)", each.text)[1])  # type: ignore[index]
                for each in got}

    def bodies(self, mailbox: str) -> dict[int, bytes]:
        return {got.uid(): got.literals[0]
                for got in self._fetch(mailbox, "UID BODY.PEEK[]") if got.literals}

    def store(self, mailbox: str, uids: Iterable[int], how: str, flags: str) -> None:
        self.select(mailbox, read_only=False)
        self.run(f"UID STORE {','.join(map(str, uids))} {how} ({flags})")

    def copy(self, mailbox: str, uids: Iterable[int], target: str) -> None:
        self.select(mailbox)
        self.run(f"UID COPY {','.join(map(str, uids))} {quoted(target)}")

    def expunge(self, mailbox: str, uids: Iterable[int]) -> None:
        """These, and whatever else is \\Deleted there."""
        self.store(mailbox, uids, "+FLAGS", r"\Deleted")
        self.run("EXPUNGE")
