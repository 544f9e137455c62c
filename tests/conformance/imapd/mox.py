"""mox, built from its Go module; run as its localserve, which binds ordinary ports and runs
as whoever starts it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import install
from backend import PASSWORD
from imapd.files import MovedMail
from servers import HOST, ServerError

MOX_CONF = """\
DataDir: .
LogLevel: info
User: 0
Hostname: localhost
AdminPasswordFile: adminpasswd
Listeners:
	local:
		IPs:
			- {host}
		TLS:
			KeyCerts:
				-
					CertFile: {cert}
					KeyFile: {key}
		IMAP:
			Enabled: true
			Port: {starttls_port}
		IMAPS:
			Enabled: true
			Port: {port}
Postmaster:
	Account: mox
	Mailbox: Inbox
"""


class Mox(MovedMail):
    name = "mox"
    title = "mox"
    version = "0.0.15"
    source = "Go"
    domain = "@localhost"
    forgetful = True
    no_quota = ""

    @classmethod
    def install(cls) -> None:
        cls.program = install.go("mox", "github.com/mjl-/mox", cls.version)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def configure(self) -> list[str]:
        self.folder.mkdir(exist_ok=True)
        if not self.data.exists():
            subprocess.run([self.program, "localserve", "-dir", self.data, "-initonly", "-ip",
                            HOST], check=True, capture_output=True, cwd=self.folder)
            # What its web server is for needs a listener that we do not have.
            domains = self.data / "domains.conf"
            domains.write_text(domains.read_text().partition("\nWebHandlers:")[0] + "\n")
        (self.data / "mox.conf").write_text(MOX_CONF.format(
            host=HOST, port=self.port, starttls_port=self.starttls_port,
            cert=self.tls.cert, key=self.tls.key))
        return [str(self.program), "localserve", "-dir", str(self.data)]

    def _control(self, *words: str, stdin: str = "") -> None:
        done = subprocess.run([self.program, "-config", self.data / "mox.conf", *words],
                              input=stdin, text=True, capture_output=True, cwd=self.folder)
        if done.returncode:
            raise ServerError(f"mox {' '.join(words)}: {done.stdout}{done.stderr}")

    def add_user(self, user: str) -> None:
        account = user.partition("@")[0]
        self._control("config", "account", "add", account, user)
        self._control("setaccountpassword", account, stdin=PASSWORD + "\n")

    def set_quota(self, user: str, kibibytes: int | None) -> None:
        """In domains.conf, as QuotaMessageSize of the account."""
        self.stop()
        domains, account = self.data / "domains.conf", user.partition("@")[0]
        kept, inside = [], False
        for line in domains.read_text().splitlines():
            if line.startswith("\t") and not line.startswith("\t\t"):
                inside = line.strip() == f"{account}:"
            if not (inside and line.strip().startswith("QuotaMessageSize:")):
                kept.append(line)
            if inside and line.strip() == f"{account}:" and kibibytes is not None:
                kept.append(f"\t\tQuotaMessageSize: {kibibytes * 1024}")
        domains.write_text("\n".join(kept) + "\n")
        self.start()

    def mail(self, user: str) -> Path:
        return self.data / "accounts" / user.partition("@")[0] / "msg"
