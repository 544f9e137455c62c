"""Postfix for the tests: a private instance that takes users' reports by sendmail(1), and mail
from outside by SMTP, and delivers both to Dovecot by LMTP. The machine's own is not touched.

Where an ordinary user calls sendmail(1), as Dovecot does, it reads /etc/postfix and nothing else.
Three ways to carry reports:

- Postfix in place: it and those who submit mail run in a mount namespace of their own, where our
  files lie over /etc/postfix;
- Postfix aside, where there are no namespaces: it has its folder by -c, and Dovecot calls a
  command that hands everything to us, who call sendmail(1) as root, with -C;
- a StandIn, where we are not root, without whom there is no Postfix: it gets the same calls, and
  delivers by LMTP at once.
"""

from __future__ import annotations

import email.utils
import functools
import os
import shutil
import smtplib
import socketserver
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from servers import HOST, Server, ServerError, crlf, wait_until

# With docs/dovecot.md's settings: what a report passes unchanged, and what outsiders may not do.
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {d}/queue
data_directory = {d}/data
maillog_file = /dev/stdout
inet_interfaces = {host}
inet_protocols = ipv4
myhostname = mx.example.org
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = {host}
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:{host}:{lmtp_port}
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s

smtputf8_autodetect_classes = verify
message_drop_headers =
lmtp_line_length_limit = 0
hopcount_limit = 200
closed_recipients =
    check_recipient_access inline:{{{{spam@example.org = REJECT}} {{ham@example.org = REJECT}}}}
"""

MASTER_CF = """\
{host}:{port} inet n - n - - smtpd -o cleanup_service_name=outside
{host}:{closed_port} inet n - n - - smtpd
    -o smtpd_recipient_restrictions=$closed_recipients
{host}:{open_port} inet n - n - - smtpd
outside unix n - n - 0 cleanup -o header_checks=regexp:{etc}/outside_checks
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

OUTSIDE_CHECKS = "/^X-Learnspool-Report:/ REJECT not from outside\n"

QUEUES = ("maildrop", "incoming", "active", "deferred")  # in the order that a message takes

COMMANDS = Path("/usr/sbin")


def in_namespace(mounts: Mapping[Path, str], command: list[str]) -> list[str]:
    """The command where our folders lie over those of the machine."""
    if not mounts:
        return command
    binds = " && ".join(f'mount --bind "{ours}" "{theirs}"' for ours, theirs in mounts.items())
    return ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh", *command]


@functools.cache
def missing() -> str:
    """Why Postfix cannot be run here; "" if it can."""
    if not (COMMANDS / "postfix").exists():
        return "Postfix is not installed"
    return "" if os.geteuid() == 0 else "Postfix's master runs as root only"


@functools.cache
def no_namespace() -> str:
    """Why our folders cannot lie over those of the machine; "" if they can."""
    tried = subprocess.run(in_namespace({Path("/tmp"): "/mnt"}, ["true"]), capture_output=True,
                           text=True)
    return "" if tried.returncode == 0 else f"no mount namespace: {tried.stderr.strip()}"


# What Dovecot calls in the place of sendmail(1): our socket, then sendmail's arguments.
HAND_OVER = """\
import socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect(sys.argv[1])
    link.sendall("\\0".join(sys.argv[2:]).encode() + b"\\n" + sys.stdin.buffer.read())
    link.shutdown(socket.SHUT_WR)
    sys.exit(int(link.recv(9) or 75))
"""


class Submission:
    """Runs calls of sendmail(1) that others make through HAND_OVER; take gets the arguments and
    the message, and returns the exit status."""

    def __init__(self, folder: Path, take: Callable[[list[str], bytes], int]) -> None:
        script, path = folder / "hand_over.py", folder / "submit"
        script.write_text(HAND_OVER)
        script.chmod(0o644)
        self.command = ["/usr/bin/python3", "-IS", str(script), str(path)]

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                args, _, raw = self.rfile.read().partition(b"\n")
                self.wfile.write(str(take(args.decode().split("\0"), raw)).encode())

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        path.chmod(0o666)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Postfix(Server):
    """Delivers mail for example.org to the LMTP port that it is given."""

    name = "postfix"
    ports = ("port", "closed_port", "open_port")
    port = 0  # SMTP, for mail from outside; refuses the field of reports
    closed_port = 0  # the same, but refuses the collection accounts instead
    open_port = 0  # refuses nothing: Postfix as it comes

    def __init__(self, folder: Path, in_place: bool | None = None) -> None:
        """in_place: over /etc/postfix (where that can be had, if None)."""
        super().__init__(folder)
        self.in_place = not no_namespace() if in_place is None else in_place
        self.lmtp_port = 0
        self.etc = self.folder / "etc"
        self._submission: Submission | None = None

    @property
    def mounts(self) -> dict[Path, str]:
        """What makes sendmail(1) submit to this instance: for in_namespace()."""
        return {self.etc: "/etc/postfix"} if self.in_place else {}

    @property
    def sendmail_command(self) -> list[str]:
        """What anybody may call like sendmail(1), within the mounts."""
        if self.in_place:
            return [str(COMMANDS / "sendmail")]
        if not self._submission:
            self._make_folder()
            self._submission = Submission(self.folder, self._submit)
        return self._submission.command

    def _submit(self, args: list[str], raw: bytes) -> int:
        return subprocess.run([COMMANDS / "sendmail", "-C", self.etc, *args], input=raw).returncode

    def close(self) -> None:
        """No mail is submitted any more."""
        if self._submission:
            self._submission.close()

    def _make_folder(self) -> None:
        self.etc.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)

    def prepare(self) -> None:
        """The folders; sendmail(1) needs no more, so reports queue before the first start."""
        self._make_folder()
        for name in ("queue", "data"):
            (self.folder / name).mkdir(exist_ok=True)
        shutil.chown(self.folder / "data", "postfix", "postfix")
        values = {"d": self.folder, "host": HOST,
                  "etc": "/etc/postfix" if self.in_place else self.etc, "port": self.port,
                  "closed_port": self.closed_port, "open_port": self.open_port,
                  "lmtp_port": self.lmtp_port}
        for name, text in (("main.cf", MAIN_CF), ("master.cf", MASTER_CF)):
            (self.etc / name).write_text(text.format(**values))
        (self.etc / "outside_checks").write_text(OUTSIDE_CHECKS)
        done = subprocess.run([COMMANDS / "postfix", "-c", str(self.etc), "check"],
                              capture_output=True, text=True)
        if done.returncode:
            raise ServerError(f"postfix check: {done.stderr}{done.stdout}")

    def configure(self) -> list[str]:
        self.prepare()
        daemons = subprocess.run([COMMANDS / "postconf", "-dh", "daemon_directory"], check=True,
                                 capture_output=True, text=True).stdout.strip()
        where = [] if self.in_place else ["-c", str(self.etc)]
        return in_namespace(self.mounts, [f"{daemons}/master", *where, "-s"])

    def ready(self) -> bool:
        with smtplib.SMTP(HOST, self.port, timeout=5) as link:
            return link.noop()[0] == 250

    def queued(self) -> int:
        """How many messages are on their way."""
        return sum(len(files) for queue in QUEUES
                   for _, _, files in os.walk(self.folder / "queue" / queue))

    def drain(self, seconds: float = 30) -> None:
        """Wait until everything submitted so far is delivered."""
        wait_until(lambda: self.queued() == 0, seconds, f"empty queue\n{self.log_tail()}")

    def sendmail(self, to: str, raw: bytes, mail_from: str) -> None:
        """One message from a program of this machine."""
        where = [] if self.in_place else ["-C", str(self.etc)]
        subprocess.run(in_namespace(self.mounts, [str(COMMANDS / "sendmail"), *where, "-i",
                                                  "-f", mail_from, to]),
                       input=raw.replace(b"\r\n", b"\n"), check=True)

    def smtp(self, to: str, raw: bytes, mail_from: str = "stranger@evil.example", *,
             port: int = 0, helo: str = "evil.example", source: str = HOST) -> None:
        """One message from outside: from the address source."""
        with smtplib.SMTP(HOST, port or self.port, helo, timeout=10,
                          source_address=(source, 0)) as link:
            link.sendmail(mail_from, [to], crlf(raw))


class StandIn:
    """As much of Postfix as reports need, for ordinary users: the calls of sendmail(1)."""

    in_place = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "standin"
        self.etc = self.folder / "etc"
        self.etc.mkdir(parents=True)
        (self.etc / "main.cf").touch()
        self.lmtp_port = 0
        self.mounts: dict[Path, str] = {}
        self._submission = Submission(self.folder, self._submit)
        self.sendmail_command = self._submission.command
        self.close = self._submission.close

    def _submit(self, args: list[str], raw: bytes) -> int:
        if not (self.etc / "main.cf").exists():
            return 75
        mail_from, to = args[args.index("-f") + 1], args[-1]
        top = f"Received: by mx.example.org (Postfix, from userid {os.geteuid()})\n" \
              f"\tid {len(raw)}; {email.utils.formatdate()}\n"
        with smtplib.LMTP(HOST, self.lmtp_port) as link:
            link.sendmail(mail_from, [to], crlf(top.encode() + raw))
        return 0

    def prepare(self) -> None:
        pass

    def start(self) -> StandIn:
        return self

    def stop(self) -> None:
        pass

    def drain(self) -> None:
        """Nothing is ever on its way."""
