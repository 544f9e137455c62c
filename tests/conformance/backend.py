"""What a server has to be for the list of what is tried: started, with users, and reached."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import socket
import ssl
from pathlib import Path

from client import Client
from servers import HOST, Authority, Certificate, Server, quoted

PASSWORD = "tested-Secret-0"
USERS = 60  # of servers that must know them before they start


class Backend(Server):
    """One IMAP server. port has TLS from the first byte, starttls_port begins in the clear; 0: the
    server has no such port."""

    title = ""
    version = ""  # pinned, or found out by install()
    source = ""  # where it comes from, for the table
    ports = ("port", "starttls_port")
    port = 0
    starttls_port = 0
    domain = "@example.org"  # of its users
    prefix = ""  # of every mailbox but INBOX
    no_quota = "no quota here"  # why set_quota cannot be; "" if it can
    forgetful = False  # a session cannot select what others changed since it logged in
    no_break = "mail is not in files"  # why break_message cannot be; "" if it can

    _users = 0

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        super().__init__(folder)
        if authority:
            self.authority = authority

    @classmethod
    def install(cls) -> None:
        """Get it; install.Unavailable says why not."""
        raise NotImplementedError

    @functools.cached_property
    def tls(self) -> Certificate:
        return self.authority.issue(self.name)

    # Users.

    def user_name(self, n: int) -> str:
        return f"u{n:02}{self.domain}"

    def all_users(self) -> list[str]:
        return [self.user_name(n) for n in range(1, USERS + 1)]

    def new_user(self) -> str:
        """A user whom nobody used yet, with an empty INBOX."""
        self._users += 1
        name = self.user_name(self._users)
        self.add_user(name)
        return name

    def add_user(self, user: str) -> None:
        """While the server runs; nothing where all_users() were made before."""

    # What only some can.

    def set_rights(self, user: str, mailbox: str, rights: str) -> None:
        """All that a user may do in a mailbox of his own."""
        with self.client(user) as client:
            client.run(f'SETACL {quoted(mailbox)} "owner" {rights}')

    def set_quota(self, user: str, kibibytes: int | None) -> None:
        """So much may the user have; None: as much as he likes."""
        raise NotImplementedError

    def break_message(self, user: str, mailbox: str, part: bytes) -> None:
        """The server can no longer read the message that has this in it, though it is there."""
        raise NotImplementedError

    def mend_message(self) -> None:
        """It can again."""
        raise NotImplementedError

    # Reaching it.

    def url(self, starttls: bool = False) -> str:
        if starttls or not self.port:
            return f"imap://localhost:{self.starttls_port}"
        return f"imaps://localhost:{self.port}"

    def dial(self, timeout: float = 60) -> ssl.SSLSocket:
        """A connection under TLS, before the greeting or, after STARTTLS, behind it."""
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        # As from many hosts: some servers take only so many connections a minute from one.
        source = f"127.{random.randrange(1, 250)}.{random.randrange(250)}.1"
        link = socket.create_connection((HOST, self.port or self.starttls_port), timeout,
                                        (source, 0))
        if not self.port:
            with link.makefile("rb") as lines:
                lines.readline()
                link.sendall(b"t STARTTLS\r\n")
                answer = lines.readline()
            if not answer.startswith(b"t OK"):
                raise OSError(f"STARTTLS: {answer!r}")
        # TLS 1.3 sends records of its own, which select() takes for data.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context.wrap_socket(link, server_hostname="localhost")

    def has_starttls(self) -> bool:
        with socket.create_connection((HOST, self.starttls_port), 60) as link:
            lines = link.makefile("rb")
            lines.readline()
            link.sendall(b"t CAPABILITY\r\n")
            return b"STARTTLS" in lines.readline().upper()

    def client(self, user: str) -> Client:
        return Client(self, user, PASSWORD)

    def ready(self) -> bool:
        with self.dial(1) as link:
            if not self.port:
                link.sendall(b"x NOOP\r\n")
            return link.recv(1) != b""


class TreeBackend(Backend):
    """Runs by install.in_tree(), in a mount namespace of its own. Whatever is still in there when
    it has ended is ended too: some of its processes leave their session."""

    def stop(self) -> None:
        inside = self._inside() if self.running else []
        super().stop()
        for pid in inside:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _inside(self) -> list[int]:
        ours = os.readlink(f"/proc/{self.pid}/ns/mnt")
        if ours == os.readlink("/proc/self/ns/mnt"):
            return []  # it has not come so far
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and os.readlink(f"/proc/{name}/ns/mnt") == ours:
                    found.append(int(name))
        return found
