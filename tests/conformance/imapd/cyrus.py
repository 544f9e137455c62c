"""Cyrus IMAP of Debian, unpacked; run by nobody, passwords in a sasldb."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import install
from backend import PASSWORD, TreeBackend
from client import Client
from imapd.files import LockedMail
from servers import HOST, quoted

IMAPD_CONF = """\
configdirectory: {d}/config
partition-default: {d}/spool
defaultpartition: default
proc_path: {d}/proc
mboxname_lockpath: {d}/lock
idlesocket: {d}/idle
lmtpsocket: {d}/lmtp
notifysocket: {d}/notify
cyrus_user: nobody
cyrus_group: nogroup
servername: localhost
admins: admin
allowplaintext: no
altnamespace: yes
unixhierarchysep: yes
virtdomains: off
specialusealways: yes
expunge_mode: immediate
delete_mode: immediate
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {d}/sasldb2
sasl_mech_list: PLAIN LOGIN
tls_server_cert: {cert}
tls_server_key: {key}
tls_client_ca_dir: /etc/ssl/certs
syslog_prefix: cyrus
"""

CYRUS_CONF = """\
START {{
}}
SERVICES {{
	imap cmd="imapd -C {d}/imapd.conf" listen="{host}:{starttls_port}" prefork=0
	imaps cmd="imapd -s -C {d}/imapd.conf" listen="{host}:{port}" prefork=0
}}
EVENTS {{
}}
"""

# The realm of its passwords is servername.
SCRIPT = """\
export CYRUS_USER=nobody
exec /usr/lib/cyrus/bin/master -C "$1/imapd.conf" -M "$1/cyrus.conf" -p "$1/master.pid" -D
"""


class Cyrus(LockedMail, TreeBackend):
    name = "cyrus"
    title = "Cyrus"
    source = "Debian"
    domain = ""
    no_quota = ""

    @classmethod
    def install(cls) -> None:
        install.can_mount()
        cls.tree = install.debian("cyrus", "cyrus-imapd", "cyrus-common", "sasl2-bin")
        cls.version = install.debian_version(cls.tree)

    def configure(self) -> list[str]:
        for name in ("config", "spool", "proc", "lock"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        key = shutil.copy(self.tls.key, self.folder / "key.pem")
        values = {"d": self.folder, "cert": self.tls.cert, "key": key, "host": HOST,
                  "port": self.port, "starttls_port": self.starttls_port}
        (self.folder / "imapd.conf").write_text(IMAPD_CONF.format(**values))
        (self.folder / "cyrus.conf").write_text(CYRUS_CONF.format(**values))
        self._password("admin")
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
        self.authority.folder.chmod(0o755)
        return install.in_tree(self.tree, None, None, SCRIPT, [self.folder])

    def _password(self, user: str) -> None:
        script = 'exec saslpasswd2 -p -c -f "$1" -u localhost "$2"'
        subprocess.run(install.in_tree(self.tree, None, None, script,
                                       [self.folder / "sasldb2", user]),
                       input=PASSWORD.encode(), check=True, capture_output=True)
        shutil.chown(self.folder / "sasldb2", "nobody", "nogroup")

    def add_user(self, user: str) -> None:
        self._password(user)
        with Client(self, "admin", PASSWORD) as admin:
            admin.create(f"user/{user}")

    def set_rights(self, user: str, mailbox: str, rights: str) -> None:
        with Client(self, "admin", PASSWORD) as admin:
            admin.run(f"SETACL {quoted(f'user/{user}/{mailbox}')} {user} {rights}")

    def set_quota(self, user: str, kibibytes: int | None) -> None:
        limit = "()" if kibibytes is None else f"(STORAGE {kibibytes})"
        with Client(self, "admin", PASSWORD) as admin:
            admin.run(f"SETQUOTA {quoted(f'user/{user}')} {limit}")

    def mail(self, user: str) -> Path:
        return self.folder / "spool"
