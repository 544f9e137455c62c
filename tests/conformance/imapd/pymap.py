"""pymap with maildirs, in a virtual environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import install
from backend import PASSWORD
from imapd.files import LockedMail
from servers import HOST

HASH = """\
import sys
from pysasl.hashing import BuiltinHash
print(BuiltinHash(rounds=1000).hash(sys.argv[1]))
"""


class Pymap(LockedMail):
    name = "pymap"
    title = "pymap"
    version = "0.36.7"
    source = "PyPI"
    ports = ("starttls_port",)
    no_quota = "it has none"

    @classmethod
    def install(cls) -> None:
        cls.programs = install.pypi("pymap", cls.version)

    def configure(self) -> list[str]:
        mail = self.folder / "mail"
        if not mail.exists():
            mail.mkdir(parents=True)
            hashed = subprocess.run([self.programs / "python", "-c", HASH, PASSWORD], check=True,
                                    capture_output=True, text=True).stdout.strip()
            (mail / "pymap-etc-passwd").write_text("".join(
                f"{user}:x::::{user}:\r\n" for user in self.all_users()))
            (mail / "pymap-etc-shadow").write_text("".join(
                f"{user}:{hashed}:::::::\r\n" for user in self.all_users()))
            for path in (mail, *mail.iterdir()) if os.geteuid() == 0 else ():
                shutil.chown(path, "nobody", "nogroup")
        who = ["--set-uid", "nobody", "--set-gid", "nogroup"] if os.geteuid() == 0 else []
        return [str(self.programs / "pymap"), *who, "--host", HOST, "--port",
                str(self.starttls_port), "--cert", str(self.tls.cert), "--key",
                str(self.tls.key), "maildir", str(mail)]

    def mail(self, user: str) -> Path:
        return self.folder / "mail" / user
