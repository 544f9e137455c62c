"""Mail that lies in plain files: making one of them unreadable for its server."""

from __future__ import annotations

import os
import re
from pathlib import Path

from backend import Backend


def find_file(folder: Path, part: bytes) -> Path:
    """The file that has this in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and part in path.read_bytes():
            return path
    raise FileNotFoundError(f"no file below {folder} has {part!r} in it")


class _MailInFiles(Backend):
    no_break = ""

    def mail(self, user: str) -> Path:
        """The folder that the user's messages are below, one file each."""
        raise NotImplementedError


class LockedMail(_MailInFiles):
    """Of a server that does not run as root: the broken file can be read by nobody but root."""

    _broken: Path | None = None

    def break_message(self, user: str, mailbox: str, part: bytes) -> None:
        self._broken = find_file(self.mail(user), part)
        self._broken.chmod(0)
        if os.geteuid() == 0:
            os.chown(self._broken, 0, 0)

    def mend_message(self) -> None:
        """As its folder is. In a maildir its name may have changed with its flags."""
        assert self._broken
        unique = re.split("[:,]", self._broken.name)[0]
        for file in self._broken.parent.parent.rglob(f"{unique}*"):
            owner = file.parent.stat()
            os.chown(file, owner.st_uid, owner.st_gid)
            file.chmod(0o600)


class MovedMail(_MailInFiles):
    """Of a server that runs as root, whom no mode stops: the broken file is away."""

    _broken: tuple[Path, Path] | None = None

    def break_message(self, user: str, mailbox: str, part: bytes) -> None:
        path = find_file(self.mail(user), part)
        self._broken = path, path.rename(self.folder / "broken")

    def mend_message(self) -> None:
        assert self._broken
        self._broken[1].rename(self._broken[0])
