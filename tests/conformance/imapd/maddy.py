"""maddy, built from its Go module, with SQLite."""

from __future__ import annotations

import subprocess
from pathlib import Path

import install
from backend import PASSWORD
from imapd.files import MovedMail
from servers import HOST, ServerError

MADDY_CONF = """\
state_dir {d}/state
runtime_dir {d}/run
hostname localhost
tls file {cert} {key}

auth.pass_table local_authdb {{
	table sql_table {{
		driver sqlite3
		dsn {d}/credentials.db
		table_name passwords
	}}
}}

storage.imapsql local_mailboxes {{
	driver sqlite3
	dsn {d}/imapsql.db
}}

imap tls://{host}:{port} tcp://{host}:{starttls_port} {{
	auth &local_authdb
	storage &local_mailboxes
}}
"""


class Maddy(MovedMail):
    name = "maddy"
    title = "maddy"
    version = "0.8.1"
    source = "Go"
    no_quota = "it has none"

    @classmethod
    def install(cls) -> None:
        install.need("gcc")
        cls.program = install.go("maddy", "github.com/foxcpp/maddy", cls.version,
                                 "./cmd/maddy")

    def configure(self) -> list[str]:
        for name in ("state", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "maddy.conf").write_text(MADDY_CONF.format(
            d=self.folder, host=HOST, port=self.port, starttls_port=self.starttls_port,
            cert=self.tls.cert, key=self.tls.key))
        return [str(self.program), "-config", str(self.folder / "maddy.conf"), "run"]

    def _control(self, *words: str) -> None:
        done = subprocess.run([self.program, "-config", self.folder / "maddy.conf", *words],
                              text=True, capture_output=True, cwd=self.folder)
        if done.returncode:
            raise ServerError(f"maddy {' '.join(words)}: {done.stdout}{done.stderr}")

    def add_user(self, user: str) -> None:
        self._control("creds", "create", "--password", PASSWORD, user)
        self._control("imap-acct", "create", user)

    def mail(self, user: str) -> Path:
        return self.folder / "state"
