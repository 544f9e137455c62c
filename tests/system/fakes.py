"""Servers that do what a script says, for what real ones will not do: an IMAP server that can
lie, and a controller of rspamd that can answer anything. Where the script is silent they are
honest and correct.

    with FakeImap(mails, {"UID STORE": lambda honest: b"* BYE\\r\\n"}) as imap: ...
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, BinaryIO, NamedTuple

from program import INBOXES, Program, Rig, secret_file
from servers import HOST, Certificate, crlf, quoted

# What is sent: bytes, or pieces one after the other; a generator may wait in between, run for
# ever, or raise Cut.
Reply = bytes | Iterable[bytes]
SPAM = "spam@example.org"


class Cut(Exception):
    """The connection ends here; with reset = True by RST, so that bytes on their way are lost."""

    def __init__(self, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


def then_cut(data: bytes = b"", reset: bool = False) -> Iterator[bytes]:
    yield data
    raise Cut(reset)


def then_silence(data: bytes = b"") -> Iterator[bytes]:
    """The peer's patience ends first."""
    yield data
    time.sleep(60)


def drip(data: bytes, pause: float = 0.2) -> Iterator[bytes]:
    for at in range(len(data)):
        yield data[at:at + 1]
        time.sleep(pause)


def endless(head: bytes, piece: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield piece


class Fake:
    """A loopback port with a thread for each connection. Ends with its with block."""

    def __init__(self, certificate: Certificate | None = None, host: str = HOST) -> None:
        self.host = host
        self.connections = 0
        self.context: ssl.SSLContext | None = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate.cert, certificate.key)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._links: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def serve(self, link: socket.socket) -> None:
        """One connection, until it returns or raises."""
        raise NotImplementedError

    def close(self) -> None:
        """Nobody gets in any more, and whoever is in is thrown out."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                self.connections += 1
                self._links.append(link)
                threading.Thread(target=self._run, args=(link,), daemon=True).start()

    def _run(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError), link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                if self.context:
                    link = self.context.wrap_socket(link, server_side=True)
                    self._links.append(link)
                self.serve(link)
            except Cut as cut:
                if cut.reset:
                    now = struct.pack("ii", 1, 0)
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            link.close()


def send(link: socket.socket, reply: Reply) -> None:
    for piece in [reply] if isinstance(reply, bytes) else reply:
        link.sendall(piece)


# ---- IMAP ----

@dataclass
class Message:
    raw: bytes
    flags: set[str] = field(default_factory=set)
    date: str = "01-Feb-2024 10:11:12 +0000"


# What the server would have said -> what it says. The keys are commands as "UID STORE", and
# "GREETING", "METADATA" and "BODY" for the two kinds of UID FETCH.
Lies = Mapping[str, Callable[[bytes], Reply]]

CAPABILITIES = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS MOVE ESEARCH CONDSTORE SPECIAL-USE"


class FakeImap(Fake):
    """One account with one mailbox, and "Archive" to move mail to. Tells of what add() brings
    later, where its capabilities have IDLE or NOTIFY. Stands for a Dovecot in
    Program.configure()."""

    def __init__(self, mails: Iterable[bytes | Message] = (), lies: Lies | None = None, *,
                 capabilities: str = CAPABILITIES, mailbox: str = "INBOX",
                 certificate: Certificate | None = None) -> None:
        self.mailbox = mailbox
        self.uidvalidity = 7
        self.modseq = 5
        self.moved: dict[int, Message] = {}  # what COPY and MOVE brought elsewhere
        self.messages: dict[int, Message] = {}
        self.no_idle = ""  # what IDLE is answered, as a whole; @ is the tag
        self.in_archive = False  # it is the selected mailbox
        self.uidnext = 1
        for mail in mails:
            self.add(mail)
        self.lies = dict(lies or {})
        self.capabilities = capabilities
        self.commands: list[str] = []  # without tags and log-ins
        self.passwords = {SPAM: "secret"}
        super().__init__(certificate)

    def add(self, mail: bytes | Message) -> int:
        message = mail if isinstance(mail, Message) else Message(crlf(mail))
        self.messages[self.uidnext] = message
        self.uidnext += 1
        return self.uidnext - 1

    @property
    def selected(self) -> dict[int, Message]:
        return self.moved if self.in_archive else self.messages

    @property
    def archive(self) -> list[bytes]:
        return [message.raw for message in self.moved.values()]

    def url(self, starttls: bool = False) -> str:
        return f"imap{'s' if self.context else ''}://localhost:{self.port}"

    def flags(self) -> dict[int, set[str]]:
        return {uid: set(message.flags) for uid, message in self.messages.items()}

    def count(self, command: str) -> int:
        return sum(line.startswith(command) for line in self.commands)

    def serve(self, link: socket.socket) -> None:
        with link.makefile("rb") as lines:
            self._say(link, "GREETING", b"* OK ready\r\n")
            notify, box = False, self.messages
            while line := self._next_line(link, lines, notify):
                tag, _, command = line.partition(" ")
                verb, rest = self._split(command)
                if verb == "IDLE" and self._can("IDLE"):
                    if not self._idle(link, lines, tag, box):
                        return
                    continue
                if verb in ("SELECT", "EXAMINE"):
                    box = self.moved if rest.startswith('"Archive"') else self.messages
                notify = notify or (verb == "NOTIFY" and self._can("NOTIFY"))
                answer = self._login(link, lines, verb, rest) or self._answer(verb, rest)
                text = "OK done" if answer is not None else "NO [NONEXISTENT] no such thing"
                self._say(link, self._kind(verb, rest),
                          (answer or b"") + f"{tag} {text}\r\n".encode())
                if verb == "LOGOUT":
                    return

    def _can(self, capability: str) -> bool:
        return capability in self.capabilities.split()

    def _next_line(self, link: socket.socket, lines: BinaryIO, notify: bool) -> str:
        """The next command; after NOTIFY what is new is told before it."""
        known = self.uidnext
        while notify and not select.select([link], [], [], 0.02)[0]:
            if self.uidnext > known:
                known = self.uidnext
                self._say(link, "STATUS PUSH",
                          f"* STATUS {quoted(self.mailbox)} (MESSAGES {len(self.messages)} "
                          f"UIDNEXT {known})\r\n".encode())
        return lines.readline().decode("latin-1").rstrip("\r\n")

    def _idle(self, link: socket.socket, lines: BinaryIO, tag: str,
              box: dict[int, Message]) -> bool:
        """Until DONE; False where the client is gone."""
        self.commands.append("IDLE")
        known = len(box)
        if self.no_idle:
            link.sendall(self.no_idle.replace("@", tag).encode())
            return True
        self._say(link, "IDLE", b"+ idling\r\n")
        while not select.select([link], [], [], 0.02)[0]:
            if len(box) > known:
                known = len(box)
                self._say(link, "EXISTS", f"* {known} EXISTS\r\n".encode())
        done = lines.readline().strip().upper()
        if done == b"DONE":
            self._say(link, "DONE", f"{tag} OK idled\r\n".encode())
        return done == b"DONE"

    def _say(self, link: socket.socket, kind: str, honest: bytes) -> None:
        lie = self.lies.get(kind)
        send(link, lie(honest) if lie else honest)

    @staticmethod
    def _split(command: str) -> tuple[str, str]:
        words = command.split(" ", 2 if command.upper().startswith("UID ") else 1)
        has_rest = len(words) > (2 if words[0].upper() == "UID" else 1)
        return " ".join(words[:-1] if has_rest else words).upper(), words[-1] if has_rest else ""

    @staticmethod
    def _kind(verb: str, rest: str) -> str:
        if verb != "UID FETCH":
            return verb
        return "BODY" if "BODY.PEEK[]" in rest else "METADATA"

    def _login(self, link: socket.socket, lines: BinaryIO, verb: str, rest: str) -> bytes:
        if verb == "AUTHENTICATE" and " " not in rest:
            link.sendall(b"+ \r\n")
            lines.readline()
        return b"* OK [ALERT] hello\r\n" if verb in ("AUTHENTICATE", "LOGIN") else b""

    def _answer(self, verb: str, rest: str) -> bytes | None:
        """Untagged responses; None: refused."""
        if verb not in ("AUTHENTICATE", "LOGIN"):
            self.commands.append(f"{verb} {rest}".strip())
        method = getattr(self, "_do_" + verb.lower().replace(" ", "_"), None)
        return method(rest) if method else b"" if verb == "NOOP" else None

    def _do_capability(self, rest: str) -> bytes:
        return f"* CAPABILITY {self.capabilities}\r\n".encode()

    def _do_logout(self, rest: str) -> bytes:
        return b"* BYE\r\n"

    def _do_list(self, rest: str) -> bytes:
        return f'* LIST (\\HasNoChildren \\Junk) "/" {quoted(self.mailbox)}\r\n'.encode()

    def _do_select(self, rest: str) -> bytes | None:
        there = rest.startswith('"Archive"')
        if not there and not rest.startswith(quoted(self.mailbox)):
            return None
        self.in_archive = there
        modseq = (f"* OK [HIGHESTMODSEQ {self.modseq}] modseq\r\n"
                  if "CONDSTORE" in self.capabilities else "")
        return (f"* FLAGS (\\Seen)\r\n* {len(self.selected)} EXISTS\r\n* 0 RECENT\r\n"
                f"* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] limited\r\n"
                f"* OK [UIDVALIDITY {1 if there else self.uidvalidity}] valid\r\n"
                f"* OK [UIDNEXT {len(self.moved) + 1 if there else self.uidnext}] next\r\n"
                f"{modseq}").encode()

    _do_examine = _do_select

    def _do_uid_search(self, rest: str) -> bytes:
        words = {word for word in rest.split() if word.lower().endswith("junk")}
        if words:  # OR KEYWORD $NotJunk ...
            return self._found(rest, [uid for uid, message in self.selected.items()
                                      if words & message.flags])
        found = self._in_set(rest.rpartition("UID ")[2].partition(" ")[0])
        if rest.endswith(" DELETED"):
            found = [uid for uid in found if "\\Deleted" in self.selected[uid].flags]
        return self._found(rest, found)

    @staticmethod
    def _found(rest: str, found: list[int]) -> bytes:
        if "RETURN" in rest:
            every = f" ALL {','.join(map(str, found))}" if found else ""
            return f'* ESEARCH (TAG "x") UID{every}\r\n'.encode()
        return f"* SEARCH {' '.join(map(str, found))}\r\n".encode()

    def _do_uid_fetch(self, rest: str) -> bytes:
        body = "BODY.PEEK[]" in rest
        fields = re.search(r"HEADER\.FIELDS \(([^)]*)\)", rest)
        return b"".join(fetched(number, uid, self.selected[uid], body, fields[1] if fields else "")
                        for number, uid in enumerate(sorted(self.selected), 1)
                        if uid in self._in_set(rest.partition(" ")[0]))

    def _do_uid_store(self, rest: str) -> bytes:
        uids, how, words = rest.split(" ", 2)
        for uid in self._in_set(uids):
            change = set(words.strip("()").split())
            flags = self.messages[uid].flags
            self.messages[uid].flags = flags | change if how[0] == "+" else flags - change
        return b""

    def _do_expunge(self, rest: str) -> bytes:
        return self._do_uid_expunge("1:*")

    def _do_uid_expunge(self, rest: str) -> bytes:
        return self._drop([uid for uid in self._in_set(rest)
                           if "\\Deleted" in self.messages[uid].flags])

    def _do_uid_copy(self, rest: str) -> bytes | None:
        for uid in self._in_set(rest.partition(" ")[0]):
            message = self.messages[uid]
            self.moved[len(self.moved) + 1] = Message(message.raw, date=message.date)
        return b""

    def _do_uid_move(self, rest: str) -> bytes | None:
        self._do_uid_copy(rest)
        return self._drop(self._in_set(rest.partition(" ")[0]))

    def _do_status(self, rest: str) -> bytes:
        name = rest.partition(" (")[0]
        if name == quoted(self.mailbox):
            return (f"* STATUS {name} (UIDVALIDITY {self.uidvalidity} UIDNEXT {self.uidnext} "
                    f"MESSAGES {len(self.messages)} UNSEEN 0)\r\n").encode()
        return f"* STATUS {name} (UIDVALIDITY 1 UIDNEXT {len(self.moved) + 1})\r\n".encode()

    def _do_notify(self, rest: str) -> bytes | None:
        return b"" if self._can("NOTIFY") else None

    def _drop(self, uids: list[int]) -> bytes:
        said = b""
        for uid in uids:
            said += f"* {sorted(self.messages).index(uid) + 1} EXPUNGE\r\n".encode()
            del self.messages[uid]
        return said

    def _in_set(self, text: str) -> list[int]:
        wanted: set[int] = set()
        for part in text.split(","):
            first, _, last = part.partition(":")
            end = max(self.selected, default=0) if last == "*" else int(last or first)
            wanted |= {uid for uid in self.selected if int(first) <= uid <= end}
        return sorted(wanted)


def header_fields(raw: bytes, names: str) -> bytes:
    """These fields of the header, as BODY[HEADER.FIELDS (...)] gives them."""
    head = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
    fields = re.findall(rb"(?m)^[^ \t\r\n:]+:(?:[^\n]*\n)(?:[ \t][^\n]*\n)*", head)
    wanted = {name.lower() for name in names.split()}
    return b"".join(field for field in fields
                    if field.partition(b":")[0].decode("latin-1").lower() in wanted) + b"\r\n"


def fetched(number: int, uid: int, message: Message, body: bool, fields: str = "") -> bytes:
    if body:
        head = f"* {number} FETCH (UID {uid} BODY[] {{{len(message.raw)}}}\r\n"
        return head.encode() + message.raw + b")\r\n"
    head = header_fields(message.raw, fields)[:4096] if fields else b""
    named = f" BODY[HEADER.FIELDS ({fields.upper()})]<0> {{{len(head)}}}\r\n" if fields else ""
    return (f"* {number} FETCH (UID {uid} FLAGS ({' '.join(sorted(message.flags))}) "
            f'INTERNALDATE "{message.date}" RFC822.SIZE {len(message.raw)}{named}'
            ).encode() + head + b")\r\n"


# ---- HTTP ----

class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


def read_request(stream: BinaryIO) -> Request:
    first = stream.readline().decode()
    if not first.endswith("\n"):
        raise Cut  # the client is gone
    method, path, _ = first.split(" ")
    headers = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


def http(status: int, reason: str = "", body: bytes = b"", headers: bytes = b"") -> bytes:
    return (f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n".encode() + headers + b"\r\n" + body)


LEARNED = http(200, "OK", b'{"success":true}')
STAT = http(200, "OK", b'{"statfiles":[{"symbol":"BAYES_SPAM","type":"redis","revision":1},'
                       b'{"symbol":"BAYES_HAM","type":"redis","revision":2}]}')


class FakeController(Fake):
    """Rspamd's controller: every learn gets answer(request). Stands for a Rspamd in
    Program.configure()."""

    password = "q1"

    def __init__(self, answer: Callable[[Request], Reply] = lambda request: LEARNED, *,
                 stat: Reply | Callable[[], Reply] = STAT, prefix: str = "",
                 certificate: Certificate | None = None, host: str = HOST) -> None:
        self.answer = answer
        self.stat = stat
        self.prefix = prefix
        self.requests: list[Request] = []
        super().__init__(certificate, host)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.context else ''}://{host}:{self.port}{self.prefix}"

    @property
    def learns(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def serve(self, link: socket.socket) -> None:
        with link.makefile("rb") as stream:
            request = read_request(stream)
            self.requests.append(request)
            if request.method == "GET":
                send(link, self.stat() if callable(self.stat) else self.stat)
            else:
                send(link, self.answer(request))


# ---- both ----

def configure(program: Program, imap: Any, rspamd: Any, *, mailboxes: str = INBOXES[SPAM],
              rspamd_lines: str = "", account: str = "timeout = 2s", top: str = "") -> None:
    """One account on imap, spam@, over a connection without TLS."""
    unused = SimpleNamespace(cert=__file__)
    program.configure(Rig(rspamd, imap, unused), {SPAM: mailboxes}, rspamd=rspamd_lines,
                      account=f"insecure = true {account}", top=top)


def configure_all(program: Program, accounts: Mapping[str, tuple[FakeImap, str]], rspamd: Any, *,
                  rspamd_lines: str = "", top: str = "") -> None:
    """Several accounts, each on a server of its own: name -> server and lines of its block."""
    text = (f'rspamd {{ url = "{rspamd.url}"  {rspamd_lines} }}\n'
            f'ledger = "{program.ledger}"\n')
    password = secret_file(program.folder / "imap.password", "secret\n")
    for name, (imap, lines) in accounts.items():
        text += (f'account "{name}" {{ url = "{imap.url()}"  insecure = true  timeout = 2s\n'
                 f'    password-file = "{password}"\n    {lines}\n}}\n')
    secret_file(program.config, text + top)


def by_subject(request: Request) -> Reply:
    """What rspamd would say, by what the subject asks for: "short", "bad" or anything else."""
    if b"Subject: short" in request.body:
        return http(204, "contains less tokens than required for bayes classifier: 3 < 11")
    return http(400, "Bad", b'{"error":"bad"}') if b"Subject: bad" in request.body else LEARNED
