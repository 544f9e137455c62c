"""Dovecot of Debian, as the system tests start it, with ACL and quota."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import install
from backend import PASSWORD, Backend
from imapd.files import LockedMail
from servers import Authority
from servers import Dovecot as SystemDovecot

EXTRA = """\
mail_plugins = acl quota
protocol imap {
	mail_plugins = acl quota imap_acl imap_quota
}
plugin {
	acl = vfile
	quota = count:User quota
	quota_rule = *:storage=0
	quota_vsizes = yes
}
"""


class Dovecot(SystemDovecot, LockedMail):  # type: ignore[misc]
    title = "Dovecot"
    source = "Debian"
    ports = ("port", "starttls_port", "lmtp_port")
    no_quota = ""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, authority, extra=EXTRA)
        for user in self.all_users():
            super().add_user(user, PASSWORD)

    @classmethod
    def install(cls) -> None:
        cls.version = subprocess.run([install.need("dovecot"), "--version"], text=True,
                                     capture_output=True).stdout.split()[0]

    url = Backend.url

    def add_user(self, user: str, password: str = PASSWORD) -> None:
        """All are there."""

    def set_quota(self, user: str, kibibytes: int | None) -> None:
        self.fields[user] = ("" if kibibytes is None
                             else f"userdb_quota_rule=*:storage={kibibytes}K")
        self._write_users()
        time.sleep(1.1)  # it looks for a new file once a second

    def mail(self, user: str) -> Path:
        return self.home(user)
