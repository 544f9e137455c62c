"""The sample of real mail in tests/corpus, in memory."""

from __future__ import annotations

import functools
import tarfile
from pathlib import Path
from typing import NamedTuple

SAMPLE = Path(__file__).resolve().parent.parent / "corpus" / "sample.tar.xz"


class Mail(NamedTuple):
    name: str  # "spam-2/00347"
    kind: str  # "spam" or "ham"
    raw: bytes  # lines end as they do in the corpus: LF, mostly


def without_envelope(raw: bytes) -> bytes:
    """Without the "From " line of the mbox that the message was kept in: it is no header."""
    return raw.partition(b"\n")[2] if raw.startswith(b"From ") else raw


@functools.cache
def load() -> tuple[Mail, ...]:
    mails = []
    with tarfile.open(SAMPLE, "r:xz") as tar:
        for member in tar:
            kind, group, name = member.name.split("/")
            content = tar.extractfile(member)
            assert content is not None
            raw = without_envelope(content.read())
            mails.append(Mail(f"{group}/{name.partition('.')[0]}", kind, raw))
    return tuple(mails)


def spam() -> list[bytes]:
    return [mail.raw for mail in load() if mail.kind == "spam"]


def ham() -> list[bytes]:
    return [mail.raw for mail in load() if mail.kind == "ham"]
