"""The content digest, version 1, once more: written from docs/digest.md, sharing no code with
src/. `digest_ref.py FILE...` prints digest and name, as sha256sum does."""

import binascii
import hashlib
import re
import struct
import sys

FIELD_MAX, CONVERSIONS_MAX, DEPTH_MAX, PARTS_MAX = 16 * 1024, 16, 64, 2000
FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
TOKEN = rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,127}"
TYPE = re.compile(rb" *(" + TOKEN + rb"/" + TOKEN + rb")(?=[;( ]|\Z)")
BOUNDARY = re.compile(rb';\s*boundary\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;]*))', re.I | re.S)
WORD = re.compile(rb"=\?([\w.:+-]{1,39})(?:\*[^?]*)?\?([BbQq])\?([^?]*)\?=", re.A)
MESSAGES = (b"message/rfc822", b"message/global", b"message/news")


class Refused(Exception):
    """Past a cap: such a message has no digest."""


def split(entity: bytes) -> tuple[bytes, bytes]:
    """Header block and body."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+$", entity)
    at = 0
    if lines and re.match(rb">?From ", lines[0]) and not FIELD.match(lines[0]):
        at = len(lines.pop(0))
    if not lines or not (FIELD.match(lines[0]) or re.match(rb"\r?\n", lines[0])):
        return b"", entity[at:]
    end = re.compile(rb"^\r?\n", re.M).search(entity, at)
    return (entity[at:end.start()], entity[end.end():]) if end else (entity[at:], b"")


def field(header: bytes, name: bytes) -> bytes:
    """The first field of that name, folds and all."""
    for line in re.findall(rb"[^\n]*(?:\n[ \t][^\n]*)*\n?", header):
        found = FIELD.match(line)
        if found and found.group(1).lower() == name:
            return re.sub(rb"\r?\n$", b"", line[found.end():])[:FIELD_MAX]
    return b""


def blanks(value: bytes) -> bytes:
    return re.sub(rb"[\0-\x1f]", b" ", value)


def unbase64(data: bytes) -> bytes:
    data, padding, _ = data.partition(b"=")
    data = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    left = len(data) % 4
    if left == 1 or not padding:
        return binascii.a2b_base64(data[: len(data) - left])
    return binascii.a2b_base64(data + b"=" * (-left % 4))


def unquote(data: bytes) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        what = found.group(1)
        if re.fullmatch(rb"[0-9A-Fa-f]{2}", what):
            return binascii.a2b_hex(what)
        return b"" if what in (b"\n", b"\r\n") or len(what) < 2 else b"=" + what

    return re.sub(rb"=(\n|..|.?\Z)", one, data, flags=re.S)


def to_utf8(charset: str, data: bytes) -> bytes:
    try:
        if charset:
            return data.decode(charset).encode()
    except (UnicodeError, LookupError):
        pass
    data = data.replace(b"\0", b" ")
    try:
        data.decode()
        return data
    except UnicodeError:
        return data.decode("iso-8859-1").encode()


def subject(raw: bytes) -> bytes:
    """RFC 2047 undone, blanks folded."""
    runs: list[tuple[str, bytes]] = []
    last = 0
    for word in WORD.finditer(raw):
        between = raw[last:word.start()]
        if not runs or between.strip(bytes(range(33)) + b"\x7f"):
            runs.append(("", between))
        text = word.group(3)
        text = unbase64(text + b"=") if word.group(2) in b"Bb" else unquote(
            text.replace(b"_", b" "))
        runs.append((word.group(1).decode().lower(), text))
        last = word.end()
    runs.append(("", raw[last:]))
    out, charset, data, conversions = b"", "", b"", 0
    for next_charset, text in runs + [("end", b"")]:
        if next_charset != charset:
            conversions += bool(data) and charset not in ("", "utf-8")
            asked = charset if charset != "utf-8" and conversions <= CONVERSIONS_MAX else ""
            out, charset, data = out + to_utf8(asked, data), next_charset, b""
        data += text
    return re.sub(rb"[\0-\x20\x7f]+", b" ", out).strip(b" ")


def normal(kind: bytes, data: bytes) -> bytes:
    data = data.replace(b"\r\n", b"\n")
    if kind.split(b"/")[0] in (b"text", b"message", b"multipart"):
        lines = data.replace(b"\r", b"\n").split(b"\n")
        lines = [re.sub(rb"^>+(?=From[ \t])", b"", line) for line in lines]
        data = b"\n".join(re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines)
    return data.rstrip(b"\n")


class Digest:
    def __init__(self) -> None:
        self.whole = hashlib.sha256(b"\x01")
        self.depth = self.parts = 0

    def item(self, tag: bytes, data: bytes) -> None:
        self.whole.update(tag + struct.pack(">I", len(data)) + data)

    def message(self, whole: bytes) -> None:
        header, body = split(whole)
        self.item(b"S", subject(field(header, b"subject")))
        self.entity(header, body, b"text/plain")
        self.item(b"E", b"")

    def entity(self, header: bytes, body: bytes, default: bytes) -> None:
        content_type = blanks(field(header, b"content-type"))
        encoding = blanks(field(header, b"content-transfer-encoding")).lower()
        encoding = (encoding.split() or [b""])[0]
        found = TYPE.match(content_type)
        kind = found.group(1).lower() if found else default
        multipart = kind.startswith(b"multipart/")
        encoded = encoding in (b"base64", b"quoted-printable")
        if not multipart and (kind not in MESSAGES or encoded):
            return self.leaf(kind, encoding, body)
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Refused("depth")
        if multipart:
            self.multipart(kind, content_type, body)
        else:
            self.message(body)
        self.depth -= 1
        return None

    def multipart(self, kind: bytes, content_type: bytes, body: bytes) -> None:
        found = BOUNDARY.search(content_type)
        boundary = b""
        if found:
            quoted, plain = found.groups()
            boundary = plain.strip() if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted)
        parts = split_parts(body, boundary.rstrip()) if boundary.rstrip() else []
        for part in parts:
            default = b"message/rfc822" if kind == b"multipart/digest" else b"text/plain"
            self.entity(*split(part), default)
        if not parts:
            self.leaf(kind, b"", body)

    def leaf(self, kind: bytes, encoding: bytes, body: bytes) -> None:
        self.parts += 1
        if self.parts > PARTS_MAX:
            raise Refused("parts")
        decode = {b"base64": unbase64, b"quoted-printable": unquote}.get(encoding, bytes)
        self.item(b"P", kind)
        self.whole.update(hashlib.sha256(normal(kind, decode(body))).digest())


def split_parts(body: bytes, boundary: bytes) -> list[bytes]:
    line = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t\r]*(?:\n|\Z)", re.M)
    parts, start = [], -1
    for found in line.finditer(body):
        if start >= 0:
            before = body[start:max(start, found.start())]
            parts.append(re.sub(rb"\r?\n\Z", b"", before))
        start = found.end()
        if found.group(1):
            return parts
    return parts + [body[start:]] if start >= 0 else parts


def digest(message: bytes) -> str:
    d = Digest()
    d.message(message)
    return d.whole.hexdigest()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with open(name, "rb") as file:
            print(digest(file.read()), name)
