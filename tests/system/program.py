"""The program under test: its configuration for a stack, and running it."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import Stack

ROOT = Path(__file__).resolve().parent.parent.parent
INBOXES = {"spam@example.org": 'mailbox "INBOX" { class = spam }',
           "ham@example.org": 'mailbox "INBOX" { class = ham }'}


def binary() -> Path:
    return Path(os.environ.get("LEARNSPOOL") or ROOT / "build" / "learnspool").resolve()


@functools.cache
def fault_program() -> Path:
    """The program with counted steps (src/base/fault.h) and without sanitizers."""
    build = Path("build/fault")  # make(1) knows no blanks
    with (ROOT / "build" / "fault.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        subprocess.run(["make", "-s", "-j2", f"BUILD={build}", "FAULT=1"], cwd=ROOT, check=True)
    return ROOT / build / "learnspool"


@dataclass(frozen=True)
class Result:
    rc: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What --json printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    def event(self, name: str) -> dict[str, Any]:
        """The last event of that name."""
        return [event for event in self.events if event.get("event") == name][-1]


@dataclass
class Rig:
    """What configure() needs of a Stack, some of it fakes or proxies."""

    rspamd: Any
    dovecot: Any
    authority: Any


def secret_file(path: Path, text: str) -> Path:
    """A file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


class Program:
    """learnspool with files of its own in a folder: configuration, secrets, ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "learnspool.conf"
        self.ledger = folder / "ledger"
        self.ledger.mkdir(exist_ok=True)

    def configure(self, stack: Stack | Rig, accounts: Mapping[str, str] = INBOXES, *,
                  starttls: bool = False, rspamd: str = "", account: str = "",
                  top: str = "") -> Path:
        """Write the configuration: accounts maps names to their mailbox lines; rspamd and
        account are more lines for those blocks, top comes last."""
        password = self._secret("rspamd", stack.rspamd.password)
        text = (f'rspamd {{ url = "{stack.rspamd.url}"  password-file = "{password}" {rspamd}}}\n'
                f'ledger = "{self.ledger}"\n')
        for name, mailboxes in accounts.items():
            password = self._secret(name, stack.dovecot.passwords[name])
            block = f"{mailboxes} {account}".rstrip()
            text += (f'account "{name}" {{\n'
                     f'    url = "{stack.dovecot.url(starttls)}"\n'
                     f'    ca-file = "{stack.authority.cert}"\n'
                     f'    password-file = "{password}"\n'
                     f'    {block}\n}}\n')
        return secret_file(self.config, text + top)

    def _secret(self, name: str, text: str) -> Path:
        return secret_file(self.folder / f"{name.partition('@')[0]}.password", text + "\n")

    def command(self, *args: str | Path, config: Path | None = None) -> list[str]:
        return [str(binary()), "--config", str(config or self.config), *map(str, args)]

    def __call__(self, *args: str | Path, config: Path | None = None, stdin: bytes = b"",
                 env: Mapping[str, str] | None = None, timeout: float = 120) -> Result:
        done = subprocess.run(self.command(*args, config=config), input=stdin, timeout=timeout,
                              capture_output=True, env=environment(env))
        return Result(done.returncode, done.stdout.decode("utf-8", "replace"),
                      done.stderr.decode("utf-8", "replace"))

    def start(self, *args: str | Path, env: Mapping[str, str] | None = None,
              ) -> subprocess.Popen[bytes]:
        """In the background, for signals; the caller waits for it."""
        return subprocess.Popen(self.command(*args), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=environment(env))


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would be taken for a secret or a proxy of the program."""
    dropped = ("IMAP_PASSWORD", "RSPAMD_PASSWORD", "CREDENTIALS_DIRECTORY")
    kept = {name: value for name, value in os.environ.items()
            if name not in dropped and not name.lower().endswith("_proxy")}
    return kept | dict(more or {})
