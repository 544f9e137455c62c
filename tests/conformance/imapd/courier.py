"""Courier IMAP of Debian, unpacked: its paths are compiled in, so it runs where the unpacked
files lie over /usr, our configuration over /etc, and a folder of ours is /run."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import install
from backend import PASSWORD, TreeBackend
from imapd.files import LockedMail

# What its own start scripts do, in the foreground; the last arguments are their configuration.
SCRIPT = """\
set -a
. /etc/courier/imapd
. /etc/courier/imapd-ssl
TLS_CERTFILE="$1/courier.pem" TLS_TRUSTCERTS= TLS_CACHEFILE= TLS_DHPARAMS=
IMAP_EMPTYTRASH= AUTHMODULES=authdaemon
authdaemon=/usr/lib/courier/courier-authlib/authdaemond
listen() {
	couriertcpd -address=127.0.0.1 -maxprocs=200 -maxperip=200 -nodnslookup -noidentlookup \\
		-access=/etc/courier/imapaccess.dat "$@" &
	pids="$pids $!"
}
mkdir -p /run/courier/authdaemon
$authdaemon &
pids=$!
IMAP_STARTTLS=YES PROTO=imap listen "$2" \\
	/usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir
IMAP_STARTTLS=NO IMAP_TLS=1 PROTO=imap listen "$3" /usr/bin/couriertls -server -tcpd \\
	/usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir
trap 'kill $pids; wait; exit 0' TERM INT
wait
"""

AUTHDAEMONRC = """\
authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
"""


class Courier(LockedMail, TreeBackend):
    name = "courier"
    title = "Courier"
    source = "Debian"
    domain = ""
    prefix = "INBOX."
    no_quota = ""

    @classmethod
    def install(cls) -> None:
        install.can_mount()
        cls.tree = install.debian("courier", "courier-imap", "courier-base", "courier-authlib",
                                  "courier-authlib-userdb", "courier-authdaemon", "gamin")
        cls.version = install.debian_version(cls.tree)

    def home(self, user: str) -> Path:
        return self.folder / "home" / user

    def configure(self) -> list[str]:
        etc, run = self.folder / "etc", self.folder / "run"
        if not etc.exists():
            self._make(etc, run)
        return install.in_tree(self.tree, etc, run, SCRIPT,
                               [self.folder, str(self.starttls_port), str(self.port)])

    def _make(self, etc: Path, run: Path) -> None:
        shutil.copytree(self.tree / "etc", etc)
        run.mkdir()
        (etc / "courier" / "authlib").mkdir(exist_ok=True)
        for place in (etc / "courier" / "authlib", etc / "courier"):
            (place / "authdaemonrc").write_text(AUTHDAEMONRC)
        courier = "courier:x:65533:65533::/run/courier:/usr/sbin/nologin\n"
        (etc / "passwd").write_text(Path("/etc/passwd").read_text() + courier)
        (etc / "group").write_text(Path("/etc/group").read_text() + "courier:x:65533:\n")
        pem = self.folder / "courier.pem"
        pem.write_text(self.tls.key.read_text() + self.tls.cert.read_text())
        pem.chmod(0o644)
        (etc / "courier" / "imapaccess").mkdir(exist_ok=True)
        nobody = pwd.getpwnam("nobody")
        secret = subprocess.run(["openssl", "passwd", "-1", PASSWORD], check=True, text=True,
                                capture_output=True).stdout.strip()
        lines = []
        for user in self.all_users():
            self.home(user).mkdir(parents=True)
            for name in ("new", "cur", "tmp"):
                (self.home(user) / "Maildir" / name).mkdir(parents=True)
            lines.append(f"{user}\thome={self.home(user)}|mail={self.home(user)}/Maildir"
                         f"|uid={nobody.pw_uid}|gid={nobody.pw_gid}|imappw={secret}\n")
        for path in (self.folder / "home").rglob("*"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        for place in (etc / "courier" / "userdb", etc / "courier" / "authlib" / "userdb",
                      etc / "userdb"):
            place.write_text("".join(lines))
            place.chmod(0o600)
        # makeuserdb writes beside its source: where that is writable.
        script = (f'mount --bind "{etc}/courier" /etc/courier && makeuserdb && '
                  'cd /etc/courier && mkdir -p imapaccess && makeimapaccess')
        done = subprocess.run(install.in_tree(self.tree, etc, run, script), text=True,
                              capture_output=True)
        (self.folder / "make.log").write_text(done.stdout + done.stderr)

    def set_quota(self, user: str, kibibytes: int | None) -> None:
        path = self.home(user) / "Maildir" / "maildirsize"
        path.unlink(missing_ok=True)
        if kibibytes is not None:
            mails = [file for file in (self.home(user) / "Maildir").rglob("*")
                     if file.parent.name in ("new", "cur")]
            used = sum(file.stat().st_size for file in mails)
            path.write_text(f"{kibibytes * 1024}S\n{used} {len(mails)}\n")
            nobody = pwd.getpwnam("nobody")
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def mail(self, user: str) -> Path:
        return self.home(user)
