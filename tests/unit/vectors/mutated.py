"""Damaged messages with the digest that digest_ref.py gives them, for test_reference.c:
`mutated.py SEED COUNT` writes, for each, its length in four bytes, the message, the 32 bytes."""

import random
import struct
import sys
import tarfile
from pathlib import Path

import digest_ref

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
CORPUS = 60  # messages of the sample; with its 360 of each class it takes longer, not further
LONGEST = 20000

# What decides how a message is read.
WORDS = [word.encode("latin-1") for word in (
    "\n", "\r\n", "\r", "\n\n", "\n ", "\0", " ", "\t", "-", "--", "=", "==", "=\n", "=20", "=3D",
    "=?", "?=", ";", "\"", "\\", "\xff", "\xc3\xbc", ">From x\n", "From x\n", "\v", "\f", ":",
    "Content-Type: text/plain\n", "Content-Type: text/html; charset=utf-16\n",
    "Content-Type: multipart/mixed; boundary=b\n",
    "Content-Type: multipart/mixed; Boundary=\"B\"\n",
    "Content-Type: message/rfc822\n\n", "content-type : text/html\n", "Content-Type: x/y;;\n",
    "; charset=us-ascii", "; charset=\"KOI8-R\"", "; boundary=b", "; boundary=\"b--\"",
    "; name*0=a",
    "Content-Transfer-Encoding: base64\n", "Content-Transfer-Encoding: quoted-printable\n",
    "Content-Transfer-Encoding: 7bit\n", "Content-Transfer-Encoding: Binary\n",
    "Content-Transfer-Encoding: x-uuencode\n", "Content-Disposition: attachment; filename=a\n",
    "\n--b\n", "\n--b--\n", "\n--B\n", "\n--b \n", "\n--b\r\n", "\n--b--\r\n", "\n\n--b\n\n",
    "Subject: =?utf-8?q?a_=C3=BC?= =?us-ascii?b?Yg==?= c\n", "Subject: =?koi8-r?b?8A==?=\n",
    "Subject: =?utf-8?q?=zz?=\n", "From: \"A\" <a@b>\n", "From: a@b\n",
    "From: =?utf-8?q?N?= <a@b>\n",
    "User-Agent: x  y\n", "X-Mailer: \n", "begin 644 x\n", "QUJDREVGR0g=\n", "\nContent-", "junk\n",
)]


def sources() -> list[bytes]:
    paths = sorted(HERE.glob("*.eml")) + sorted((TESTS / "fuzz/seeds/mime").iterdir())
    found = [path.read_bytes() for path in paths]
    with tarfile.open(TESTS / "corpus/sample.tar.xz") as tar:
        members = sorted((m for m in tar if m.isfile()), key=lambda m: m.name)
        for member in members[:: len(members) // CORPUS]:
            file = tar.extractfile(member)
            assert file
            found.append(file.read())
    return found


def place(rng: random.Random, data: bytes) -> int:
    """Anywhere, but most often where it matters: at the start of a line near the top."""
    at = rng.randrange(min(len(data), rng.choice((300, 3000, LONGEST))) + 1)
    return at if rng.random() < 0.5 else data.rfind(b"\n", 0, at) + 1


def damage(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    at = place(rng, data)
    match rng.randrange(10):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[at + rng.randrange(1, 40):]
        case 2:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
        case 3:
            end = data.find(b"\n", at) + 1
            return data[:at] + data[at:end] + data[at:]
        case 4:
            return data.replace(b"\r\n", b"\n").replace(b"\n", rng.choice((b"\r\n", b"\n")))
        case 5:
            return data[:at] + rng.choice(others)[:LONGEST // 4] + data[at:]
        case 6:
            return (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + data
                    + rng.choice((b"\n--b\n\nx y\n--b--\n", b"\n--b--\nbehind\n", b"\n--b\n")))
        case 7:
            return b"Subject: wrapped\nContent-Type: message/rfc822\n\n" + data
        case _:
            return data[:at] + rng.choice(WORDS) + data[at:]


def main() -> None:
    rng, count = random.Random(int(sys.argv[1])), int(sys.argv[2])
    found = sources()
    for number in range(count):
        message = found[number % len(found)]
        for _ in range(0 if number < len(found) else rng.choice((1, 1, 1, 1, 2, 3, 6))):
            message = damage(rng, message, found)[:LONGEST]
        sys.stdout.buffer.write(struct.pack(">I", len(message)) + message
                                + bytes.fromhex(digest_ref.digest(message)))


if __name__ == "__main__":
    main()
