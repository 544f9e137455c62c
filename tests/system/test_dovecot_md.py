"""docs/dovecot.md, typed line by line: Debian's own configuration of Dovecot and Postfix, made to
serve example.org; then each block of steps 1 to 6 as it stands in the document, in its order and
for the version that is installed; in the end, a user's move that rspamd has learned.

Paths and ports are those of a machine, so all of it happens in namespaces of its own, with a copy
of /etc, and empty folders where servers keep what is theirs. This file is both the test and the
program that types.
"""

from __future__ import annotations

import contextlib
import fcntl
import imaplib
import os
import re
import shlex
import shutil
import smtplib
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import postfix
from program import binary, environment
from servers import (HOST, Authority, Redis, Rspamd, crlf, dovecot_version, temporary_folder,
                     wait_until)

ROOT = Path(__file__).resolve().parent.parent.parent
DOMAIN, SERVER = "example.org", "mail.example.org"
USER, SPAM, HAM = "alice@example.org", "spam@example.org", "ham@example.org"
PASSWORDS = {USER: "secret0", SPAM: "secret1", HAM: "secret2"}  # two of them are the document's
NAMESPACES = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--kill-child",
              "--mount-proc"]


def missing() -> str:
    """Why this cannot be done here; "" if it can."""
    if reason := postfix.missing():
        return reason
    tried = subprocess.run([*NAMESPACES, "mount", "-t", "tmpfs", "none", "/mnt"],
                           capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"no namespaces: {tried.stderr.strip()}"


def test_each_line_as_it_stands() -> None:
    if reason := missing():
        pytest.skip(reason)
    folder = temporary_folder()
    log = folder.with_suffix(".log")
    try:
        with log.open("wb") as file:
            done = subprocess.run([*NAMESPACES, sys.executable, __file__, str(folder)],
                                  stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=300)
        assert done.returncode == 0
    except BaseException:
        print(log.read_text("utf-8", "replace"))
        raise
    finally:
        log.unlink()
        shutil.rmtree(folder)


# ---- the document ----

class Block(NamedTuple):
    """Indented lines of the document, and the paragraph in front of them."""

    step: int
    intro: str
    text: str


def blocks() -> Iterator[Block]:
    """Those of the numbered steps."""
    step, intro = 0, ""
    text = (ROOT / "docs" / "dovecot.md").read_text("utf-8")
    for part in re.findall(r"(?:^    .*\n+)+|(?:^(?!    ).+\n)+", text, re.MULTILINE):
        if part.startswith("    "):
            if step:
                yield Block(step, intro, textwrap.dedent(part).rstrip("\n") + "\n")
        elif part.startswith("## "):
            number = re.match(r"## (\d+)\.", part)
            step = int(number[1]) if number else 0
        else:
            intro = " ".join(part.split())


# ---- the machine ----

NEW = dovecot_version() >= (2, 4)

# What works before the document begins: users in a file, and Postfix that delivers by LMTP.
USERS = """\
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
mail_location = maildir:~/mail
protocol lmtp {
  mail_plugins = $mail_plugins sieve
}
""" if not NEW else """\
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
userdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
mail_driver = maildir
mail_path = ~/mail
mail_inbox_path =
protocol lmtp {
  auth_username_format = %{user}
  mail_plugins {
    sieve = yes
  }
}
"""
LOCAL = """\
log_path = /var/log/dovecot.log
namespace inbox {
  mailbox Junk {
    auto = subscribe
  }
}
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    user = postfix
    mode = 0600
  }
}
"""
MAIN_CF = f"""\
myhostname = {SERVER}
mydestination =
alias_maps =
mynetworks = {HOST}
inet_protocols = ipv4
maillog_file = /var/log/postfix.log
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_maps = static:all
virtual_transport = lmtp:unix:private/dovecot-lmtp
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
"""


def run(commands: str) -> str:
    """Lines as root types them, none of which may fail; what they print."""
    print(f"# {commands}", flush=True)
    done = subprocess.run(["sh", "-ec", commands], cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
    print(done.stdout, end="", flush=True)
    assert done.returncode == 0, done.returncode
    return done.stdout


def add(path: str | Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def cover(path: str, below: Path, without: str) -> None:
    """What is made in a folder from here on stays here. What was in it is there still, but for
    one name."""
    below.mkdir()
    run(f"mount --rbind {path} {below} && mount -t tmpfs -o mode=755 none {path}")
    for there in below.iterdir():
        here = Path(path, there.name)
        if there.name == without:
            continue
        if there.is_symlink():
            here.symlink_to(os.readlink(there))
        elif there.is_dir():
            here.mkdir()
            run(f"mount --rbind {shlex.quote(str(there))} {shlex.quote(str(here))}")


def make_machine(folder: Path, authority: Authority) -> None:
    """Debian with the packages' configuration, as far as the document expects it."""
    etc, tools = folder / "etc", folder / "bin"
    run(f"cp -a /etc {etc} && mount --bind {etc} /etc")
    run("rm -rf /etc/learnspool")
    run("for user in learnspool vmail; do ! id $user || userdel $user; done")
    cover("/var", folder / "var", without="vmail")
    cover("/var/lib", folder / "var-lib", without="learnspool")
    for path in ("/run", "/var/log", "/var/mail", "/var/lib/dovecot", "/var/lib/postfix",
                 "/var/spool/postfix"):
        run(f"mount -t tmpfs -o mode=755 none {path}")
    with socket.socket() as link:
        fcntl.ioctl(link, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    socket.sethostname(SERVER)
    add("/etc/hosts", f"{HOST} {SERVER} mail\n")
    add("/etc/ssl/certs/ca-certificates.crt", authority.cert.read_text())

    run("useradd vmail && install -d -o vmail /var/vmail && chown postfix /var/lib/postfix")
    tools.mkdir()
    (tools / "learnspool").symlink_to(binary())
    os.environ["PATH"] = f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin"


def start_servers(authority: Authority) -> None:
    run("rm -rf /etc/dovecot && cp -R /usr/share/dovecot /etc/dovecot")
    run("sed -i 's/^!include auth-system/#&/' /etc/dovecot/conf.d/10-auth.conf")
    Path("/etc/dovecot/private").mkdir()
    ours = authority.issue(SERVER, [SERVER])
    shutil.copy(ours.cert, "/etc/dovecot/private/dovecot.pem")
    shutil.copy(ours.key, "/etc/dovecot/private/dovecot.key")
    add("/etc/dovecot/users",
        f"{USER}:{{PLAIN}}{PASSWORDS[USER]}:vmail:vmail::/var/vmail/alice::\n")
    add("/etc/dovecot/local.conf", LOCAL + USERS)
    run("cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf")
    run("cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf")
    run("postconf " + " ".join(map(shlex.quote, MAIN_CF.splitlines())))
    run("postfix start >/dev/null 2>&1 && dovecot >/dev/null 2>&1")  # they would keep our pipe


# ---- the person ----

def follow(rspamd: Rspamd) -> None:
    """Each block, and what the prose around it asks for."""
    token = ""
    for step, intro, text in blocks():
        if step == 1:
            accounts(text)
        elif intro == ("Dovecot 2.3:" if NEW else "Dovecot 2.4:"):
            continue
        elif named := re.search(r"`(/etc/\S+\.c(?:on)?f)`", intro):
            add(named[1], text)
        elif text.startswith("# /etc/postfix/"):
            postfix_files(text)
        elif text.startswith("openssl"):
            token = run(text).strip()
            setting = "learnspool_token =" if NEW else "sieve_env_learnspool_token ="
            secret = Path("/etc/dovecot/learnspool-secret.conf")
            before, after = secret.read_text().split(setting)
            secret.write_text(f"{before}{setting} {token}{after}")
        elif "useradd" in text:
            run(text)
            lines = {"rspamd.password": rspamd.password, "spam.password": PASSWORDS[SPAM],
                     "ham.password": PASSWORDS[HAM], "report.token": token}
            for name, line in lines.items():
                Path("/etc/learnspool", name).write_text(line + "\n")
        elif step == 6:
            move_to_junk()
            said = run(text)
            assert f"v1; class=spam; user={USER};" in said and f"token={token}\n" in said
            assert re.search(rf"^learn +spam {SPAM} INBOX uid=1 ", said, re.MULTILINE)
            assert re.search(r"^would learn 1 \(spam 1, ham 0\) ", said, re.MULTILINE)
            assert re.search(r"^learned 1 \(spam 1, ham 0\) ", said, re.MULTILINE)
            assert rspamd.learns() == (1, 0)
            return
        else:
            run(text)
    raise AssertionError("the document has no step 6")


def postfix_files(text: str) -> None:
    """Files that a block names in comments; in master.cf the services take the place of others."""
    _, *files = re.split(r"^# (/etc/\S+)\n", text, flags=re.MULTILINE)
    for path, lines in zip(files[::2], files[1::2]):
        if path.endswith("master.cf"):
            for name, kind in re.findall(r"^(\w+) +(\w+)", lines, re.MULTILINE):
                run(f"postconf -MX {name}/{kind}")
        add(path, lines)


def accounts(text: str) -> None:
    """The lines of the passwd-file; in 2.4 with another last field, which comes after them."""
    users = Path("/etc/dovecot/users")
    if text.startswith("userdb_"):
        if NEW:
            users.write_text(re.sub(r"userdb_sieve=.*", text.strip(), users.read_text()))
    else:
        add(users, text)


def log_in(user: str) -> imaplib.IMAP4:
    link = imaplib.IMAP4_SSL(SERVER, timeout=30)  # by the system's certificates
    link.login(user, PASSWORDS[user])
    return link


def count(user: str) -> int:
    with contextlib.closing(log_in(user)) as link:
        return int(link.select("INBOX", readonly=True)[1][0])


def mail(top: str = "") -> bytes:
    """With enough words for rspamd."""
    words = " ".join(f"offer{n}" for n in range(40))
    return crlf(f"""{top}From: somebody@evil.example
To: {USER}
Subject: an offer
Message-ID: <offer@evil.example>
Date: Mon, 01 Jan 2024 00:00:00 +0000

{words}
""".encode())


def move_to_junk() -> None:
    """Mail comes in from outside, which cannot pass for a report, and the user moves it."""
    with smtplib.SMTP(HOST, 25, "evil.example", timeout=30) as link:
        for to in (SPAM, HAM):
            with pytest.raises(smtplib.SMTPRecipientsRefused, match="Access denied"):
                link.sendmail("somebody@evil.example", to, mail())
        with pytest.raises(smtplib.SMTPDataError, match="5.7.1"):
            link.sendmail("somebody@evil.example", USER, mail("X-Learnspool-Report: v1\n"))
        link.sendmail("somebody@evil.example", USER, mail())
    wait_until(lambda: count(USER) == 1, 60, "mail is delivered")
    link = log_in(USER)
    link.select("INBOX")
    assert link.uid("MOVE", "1", "Junk")[0] == "OK"
    wait_until(lambda: count(SPAM) == 1, 60, "the report is delivered")


def main(folder: Path) -> None:
    authority = Authority(folder)
    make_machine(folder, authority)
    with Redis(folder) as redis:
        rspamd = Rspamd(folder, redis)
        rspamd.port, rspamd.scan_port = 11334, 11333
        with rspamd:
            start_servers(authority)
            try:
                follow(rspamd)
            except BaseException:
                run("tail -n 30 /var/log/dovecot.log /var/log/postfix.log")
                raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
