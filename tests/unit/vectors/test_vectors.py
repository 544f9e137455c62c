"""The test vectors, three times the same: digest_ref.py, the file `digests` (which the C test
reads), and what docs/digest.md prints."""

import re
from pathlib import Path

import digest_ref
import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "digest.md"
VECTORS = [line.split() for line in (HERE / "digests").read_text().splitlines()]


@pytest.mark.parametrize("want, name", VECTORS)
def test_reference_gets_the_vector(want: str, name: str) -> None:
    assert digest_ref.digest((HERE / name).read_bytes()) == want


def test_every_message_here_is_a_vector() -> None:
    assert sorted(path.name for path in HERE.glob("*.eml")) == sorted(n for _, n in VECTORS)


def test_page_prints_the_vectors() -> None:
    printed = re.findall(r"^    ([0-9a-f]{64})  (\S+\.eml)$", PAGE.read_text(), re.M)
    assert sorted(map(list, printed)) == sorted(VECTORS)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: message/rfc822\n\n" * 65 + b"Subject: x\n\n",
        b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 2001,
    ],
    ids=["nested", "many parts"],
)
def test_reference_reads_on_past_a_cap(head: bytes) -> None:
    assert digest_ref.digest(head + b"x y\n") != digest_ref.digest(head + b"x z\n")
