"""Postfix for the tests: a private instance that takes users' reports by sendmail(1), and mail
from outside by SMTP, and delivers both to Dovecot by LMTP.

sendmail(1) reads its configuration from /etc/postfix and nowhere else when an ordinary user
calls it, so Postfix and those who submit mail run in a mount namespace of their own, where our
files lie over /etc/postfix. The machine's own Postfix is not touched.
"""

from __future__ import annotations

import functools
import os
import shutil
import smtplib
import subprocess
from collections.abc import Mapping
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
outside unix n - n - 0 cleanup -o header_checks=regexp:/etc/postfix/outside_checks
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


def in_namespace(mounts: Mapping[Path, str], command: list[str]) -> list[str]:
    """The command where our folders lie over those of the machine."""
    binds = " && ".join(f'mount --bind "{ours}" "{theirs}"' for ours, theirs in mounts.items())
    return ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh", *command]


@functools.cache
def missing() -> str:
    """Why Postfix cannot be run here; "" if it can."""
    if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
        return "Postfix is not installed"
    if os.geteuid() != 0:
        return "Postfix's master runs as root only"
    tried = subprocess.run(in_namespace({Path("/tmp"): "/mnt"}, ["true"]), capture_output=True)
    return "" if tried.returncode == 0 else f"no mount namespace: {tried.stderr.decode().strip()}"


class Postfix(Server):
    """Delivers mail for example.org to the LMTP port that it is given."""

    name = "postfix"
    ports = ("port", "closed_port", "open_port")
    port = 0  # SMTP, for mail from outside; refuses the field of reports
    closed_port = 0  # the same, but refuses the collection accounts instead
    open_port = 0  # refuses nothing: Postfix as it comes

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lmtp_port = 0
        self.etc = self.folder / "etc"

    @property
    def mounts(self) -> dict[Path, str]:
        """What makes sendmail(1) submit to this instance: for in_namespace()."""
        return {self.etc: "/etc/postfix"}

    def prepare(self) -> None:
        """The folders; sendmail(1) needs no more, so reports queue before the first start."""
        self.etc.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for name in ("queue", "data"):
            (self.folder / name).mkdir(exist_ok=True)
        shutil.chown(self.folder / "data", "postfix", "postfix")
        values = {"d": self.folder, "host": HOST, "port": self.port,
                  "closed_port": self.closed_port, "open_port": self.open_port,
                  "lmtp_port": self.lmtp_port}
        for name, text in (("main.cf", MAIN_CF), ("master.cf", MASTER_CF)):
            (self.etc / name).write_text(text.format(**values))
        (self.etc / "outside_checks").write_text(OUTSIDE_CHECKS)
        done = subprocess.run(["/usr/sbin/postfix", "-c", str(self.etc), "check"],
                              capture_output=True, text=True)
        if done.returncode:
            raise ServerError(f"postfix check: {done.stderr}{done.stdout}")

    def configure(self) -> list[str]:
        self.prepare()
        daemons = subprocess.run(["/usr/sbin/postconf", "-dh", "daemon_directory"], check=True,
                                 capture_output=True, text=True).stdout.strip()
        return in_namespace(self.mounts, [f"{daemons}/master", "-s"])

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
        subprocess.run(in_namespace(self.mounts, ["/usr/sbin/sendmail", "-i", "-f", mail_from, to]),
                       input=raw.replace(b"\r\n", b"\n"), check=True)

    def smtp(self, to: str, raw: bytes, mail_from: str = "stranger@evil.example", *,
             port: int = 0, helo: str = "evil.example", source: str = HOST) -> None:
        """One message from outside: from the address source."""
        with smtplib.SMTP(HOST, port or self.port, helo, timeout=10,
                          source_address=(source, 0)) as link:
            link.sendmail(mail_from, [to], crlf(raw))
