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


def short(mails: list[bytes], n: int) -> list[bytes]:
    """The beginnings of n of these, so short that rspamd knows them again whenever it is asked: of
    longer texts it takes words by chance to guess the language, which changes their tokens.
    No two are alike: these it would learn twice if they came at the same moment."""
    picked, seen = [], set()
    for raw in mails:
        head, _, body = raw.partition(b"\n\n")
        words = body.split()
        text = b" ".join(words[:60])
        plain = not any(sign in head + text for sign in (b"multipart", b"base64", b"html"))
        if plain and len(words) > 60 and text[:200] not in seen:
            seen.add(text[:200])
            picked.append(head + b"\n\n" + text + b"\n")
    assert len(picked) >= n
    return picked[:n]
