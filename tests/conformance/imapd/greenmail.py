"""GreenMail standalone: a server for tests, all of it in memory."""

from __future__ import annotations

import subprocess

import install
from backend import PASSWORD, Backend
from servers import HOST

STORE_PASSWORD = "changeit"


class GreenMail(Backend):
    name = "greenmail"
    title = "GreenMail"
    version = "2.1.13"
    source = "Maven"
    domain = "@localhost"
    no_quota = ""

    @classmethod
    def install(cls) -> None:
        cls.jars = install.maven("com.icegreen", "greenmail-standalone", cls.version, alone=True)

    def configure(self) -> list[str]:
        self.folder.mkdir(exist_ok=True)
        store = self.folder / "greenmail.p12"
        subprocess.run(["openssl", "pkcs12", "-export", "-in", self.tls.cert, "-inkey",
                        self.tls.key, "-out", store, "-name", "greenmail", "-passout",
                        f"pass:{STORE_PASSWORD}"], check=True, capture_output=True)
        users = ",".join(f"{user.partition('@')[0]}:{PASSWORD}@localhost"
                         for user in self.all_users())
        settings = {"imaps.hostname": HOST, "imaps.port": self.port, "imap.hostname": HOST,
                    "imap.port": self.starttls_port, "users": users, "users.login": "email",
                    "tls.keystore.file": store, "tls.keystore.password": STORE_PASSWORD,
                    "tls.key.password": STORE_PASSWORD, "startup.timeout": 30000}
        return ["java", "-Xmx512m", *(f"-Dgreenmail.{name}={value}"
                                      for name, value in settings.items()),
                "-jar", str(next(self.jars.glob("*.jar")))]

    def set_quota(self, user: str, kibibytes: int | None) -> None:
        with self.client(user) as client:
            client.run(f'SETQUOTA "" (STORAGE {1 << 20 if kibibytes is None else kibibytes})')
