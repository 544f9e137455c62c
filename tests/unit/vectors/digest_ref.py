"""The content digest, version 2, once more: written from docs/digest.md, sharing no code with
src/. `digest_ref.py FILE...` prints digest and name, as sha256sum does."""

import base64
import hashlib
import quopri
import re
import struct
import sys

FIELD_MAX, PARAMS_MAX, DEPTH_MAX, LEAVES_MAX, SNIFF = 16 * 1024, 64, 64, 2000, 128
NAME = re.compile(rb"([!-9;-~]+)([ \t]*):")
TOKEN = rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]"
BARE = rb"[!#-'*-:<-\[\]-~]"
PARAMETER = re.compile(
    rb"; ?(?:(" + TOKEN + rb'+)=("(?:[^"\\]|\\.)*"|' + BARE + rb"+)|\Z)", re.S)
WORD = re.compile(r"=\?(utf-8|us-ascii)\?([bq])\?([^?]*)\?=", re.A | re.I)
ADDRESS = r"[0-9A-Za-z!#$%&'*+\-./=?^_`{|}~]*"
ADDRESS = re.compile(r"(?!.*=\?)" + ADDRESS + "@" + ADDRESS)
CONTENT = (b"content-type", b"content-transfer-encoding", b"content-disposition")
TOKENS = (b"subject", b"from", b"user-agent", b"x-mailer", b"x-mimeole", b"organization",
          b"organisation")
MESSAGES = (b"message/rfc822", b"message/global", b"message/news")
PLAIN = re.compile(rb"us-ascii|utf-8|iso-8859-.+|windows-125.+|koi8-.+")
BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]|\r?\n)*(?:=(?:\r?\n)*){0,2}")
QUOTED = re.compile(rb"(?:[\t -<>-~]|\r?\n|=[0-9A-Fa-f]{2}|=\r?\n)*")
EXACT, LINES, TEXT = range(3)


class Irregular(Exception):
    """What not every parser reads in the same way."""


class Full(Exception):
    """Past a cap: the rest is in the hash."""


def field_at(data: bytes, at: int) -> tuple[re.Match[bytes], int] | None:
    """The regular field there, and where it ends."""
    name = NAME.match(data, at)
    if not name:
        return None
    end = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*").match(data, name.end()).end()
    value = data[name.end():end]
    if re.search(rb"\r(?!\n|\Z)", value) or re.search(rb"\n[ \t]+\r?(?=\n|\Z)", value):
        return None
    if value.endswith(b"\r") and end == len(data):
        return None
    return name, end


class Header:
    """Its regular fields, and what stands behind them."""

    def __init__(self, entity: bytes) -> None:
        self.fields: list[tuple[bytes, bytes, bytes]] = []
        self.regular, self.body, at = False, entity, 0
        while at < len(entity):
            empty = re.compile(rb"\r?\n").match(entity, at)
            if empty:
                self.regular, self.body = True, entity[empty.end():]
                return
            found = field_at(entity, at)
            if not found:
                self.body = entity[at:]
                return
            name, end = found
            value = re.sub(rb"\r\Z", b"", entity[name.end():end])
            key = name.group(1).lower() if not name.group(2) else b""
            self.fields.append((key, value, entity[at:end]))
            at = end + 1
        self.fields = []


def unfold(value: bytes) -> bytes:
    return re.sub(rb"[ \t\r\n]+", b" ", value).strip(b" ")


def canonical_text(flat: bytes) -> bytes:
    """A field as every parser reads it."""
    try:
        words = flat.decode().split(" ")
    except UnicodeError:
        raise Irregular from None
    out, before = b"", False
    for number, word in enumerate(words):
        encoded = "=?" in word
        if number and not (before and encoded):
            out += b" "
        before = encoded
        if not encoded:
            out += word.encode()
            continue
        found = WORD.fullmatch(word)
        if not found or not word.isascii():
            raise Irregular
        charset, encoding, text = found.groups()
        if encoding in "bB":
            data = unbase64(text.encode())
        elif re.fullmatch(r"(?:[^=]|=[0-9A-Fa-f]{2})*", text):
            data = quopri.decodestring(text.encode(), header=True) if text else b""
        else:
            raise Irregular
        if charset.lower() == "us-ascii" and not data.isascii():
            raise Irregular
        out += data
    try:
        out.decode()
    except UnicodeError:
        raise Irregular from None
    if re.search(rb"[\0-\x1f\x7f]", flat + out):
        raise Irregular
    return re.sub(rb" +", b" ", out).strip(b" ")


def without_address(flat: bytes) -> bytes:
    text = flat.decode("latin-1")
    name, bracket, rest = text.rpartition("<")
    if bracket and rest.endswith(">") and ADDRESS.fullmatch(rest[:-1]):
        return name.removesuffix(" ").encode("latin-1")
    return b"" if ADDRESS.fullmatch(text) else flat


def unbase64(data: bytes) -> bytes:
    if not BASE64.fullmatch(data):
        raise Irregular
    data = re.sub(rb"[\r\n]", b"", data)
    if len(data) % 4:
        raise Irregular
    return base64.b64decode(data)


class Content:
    """The three fields, or Irregular."""

    def __init__(self, header: Header) -> None:
        flat: dict[bytes, bytes] = {}
        for name, value, _ in header.fields:
            if name not in CONTENT:
                continue
            if name in flat or len(value) > FIELD_MAX:
                raise Irregular
            flat[name] = unfold(value)
            if re.search(rb"[\0-\x1f\x7f]", flat[name]):
                raise Irregular
        self.boundary, self.charsets = b"", []
        self.type = self.disposition = self.encoding = None
        if CONTENT[0] in flat:
            self.type = self.canonical(flat[CONTENT[0]], True)
        if CONTENT[1] in flat:
            self.encoding = flat[CONTENT[1]].lower()
            if self.encoding not in (b"7bit", b"8bit", b"binary", b"quoted-printable",
                                     b"base64"):
                raise Irregular
        if CONTENT[2] in flat:
            self.disposition = self.canonical(flat[CONTENT[2]], False)
        self.encoded = self.encoding in (b"quoted-printable", b"base64")
        self.kind = (self.type or b"").split(b";")[0]

    def canonical(self, flat: bytes, is_type: bool) -> bytes:
        word = TOKEN + rb"{1,127}"
        found = re.match(word + (rb"/" + word if is_type else rb""), flat)
        if not found:
            raise Irregular
        out, at, count = found.group().lower(), found.end(), 0
        multipart = is_type and out.startswith(b"multipart/")
        while at < len(flat):
            found = PARAMETER.match(flat, at)
            count += 1
            if not found or count > PARAMS_MAX:
                raise Irregular
            at = found.end()
            if found.group(1) is None:
                continue
            name, value = found.group(1).lower(), found.group(2)
            if re.fullmatch(b'"' + BARE + b'+"', value):
                value = value[1:-1]
            if multipart and name.startswith(b"boundary"):
                if (name != b"boundary" or self.boundary or value.startswith(b'"')
                        or value.endswith(b"--") or b"=?" in value):
                    raise Irregular
                self.boundary = value
                continue
            if is_type and name.startswith(b"charset"):
                self.charsets.append((name, value.lower()))
            if name == b"charset":
                value = value.lower()
            out += b";" + name + b"=" + value
        return out

    def plain(self) -> bool:
        if not self.charsets:
            return True
        name, value = self.charsets[0]
        return (len(self.charsets) == 1 and name == b"charset"
                and PLAIN.fullmatch(value) is not None)

    def mode(self) -> int:
        if self.type is None:
            text = self.encoding != b"base64"
        else:
            text = (self.kind.startswith(b"text/") or self.kind == b"message/delivery-status")
        if text and self.plain():
            return TEXT
        return EXACT if self.encoding == b"base64" else LINES

    def decoded(self, body: bytes) -> bytes:
        """A leaf's content."""
        if self.encoding == b"base64":
            return unbase64(body)
        dashes = re.search(rb"(?:\A|[\r\n])--", body)
        if dashes and re.search(rb"[\r\n]content-", body[dashes.start():], re.I):
            raise Irregular
        if self.encoding == b"quoted-printable":
            if not QUOTED.fullmatch(body):
                raise Irregular
            return re.sub(rb"=(\r?\n|..)",
                          lambda m: b"" if m[1][-1:] == b"\n" else bytes.fromhex(m[1].decode()),
                          body)
        if self.encoding == b"7bit":
            if not body.isascii():
                raise Irregular
            return body
        if self.encoding is None and looks_encoded(body):
            raise Irregular
        if self.type is None:
            try:
                body.decode()
            except UnicodeError:
                raise Irregular from None
        return body


def looks_encoded(body: bytes) -> bool:
    body = body.strip(b" \t\n\r\f")
    window = body[:SNIFF]
    if body.startswith(b"begin") and len(body) > 5:
        return True
    if not window.isascii() or not window:
        return False
    return (len(re.findall(rb"=[0-9A-Fa-f]{2}", window)) > 2
            or re.fullmatch(rb"[A-Za-z0-9+/=]*", window) is not None)


def normal(mode: int, data: bytes) -> bytes:
    if mode == EXACT:
        return data
    data = data.replace(b"\r\n", b"\n")
    if mode == TEXT:
        lines = data.replace(b"\r", b"\n").split(b"\n")
        lines = [re.sub(rb"^>+(?=From[ \t])", b"", line) for line in lines]
        data = b"\n".join(re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines)
    return data.rstrip(b"\n")


def cut_multipart(body: bytes, boundary: bytes) -> tuple[bytes, list[tuple[int, bytes]], bytes]:
    """Preamble, parts with their places, epilogue."""
    alike = re.compile(
        rb"(?:(?<=[\r\n])|\A)--(?i:" + re.escape(boundary) + rb")[ \t\v\f]*(?:--[ \t\v\f]*)?"
        rb"(?=[\r\n]|\Z)")
    parts: list[tuple[int, bytes]] = []
    preamble, start = b"", -1
    for found in alike.finditer(body):
        if start < -1:
            raise Irregular
        close = found.group() == b"--" + boundary + b"--"
        exact = close or found.group() == b"--" + boundary
        end = re.compile(rb"\r?\n|\Z").match(body, found.end())
        if not exact or not end or body[:found.start()].endswith(b"\r"):
            raise Irregular
        if start == -1:
            if close:
                raise Irregular
            preamble = body[:found.start()]
        elif start == found.start():
            raise Irregular
        else:
            parts.append((start, re.sub(rb"\r?\n\Z", b"", body[start:found.start()])))
        start = end.end()
        if close:
            epilogue = body[start:]
            start = -2
    if start != -2:
        raise Irregular
    return preamble, parts, epilogue


class Level:
    def __init__(self, outer: "Level | None", header: Header) -> None:
        self.outer, self.header, self.pinned = outer, header, False
        self.depth: int = outer.depth + 1 if outer else 1


class Digest:
    def __init__(self, message: bytes) -> None:
        self.whole = hashlib.sha256(b"\x02")
        self.leaves = 0
        first = re.match(rb">?From [^\n]*\n", message)
        if first and not NAME.match(message) and NAME.match(message, first.end()):
            message = message[first.end():]
        try:
            self.message(message, None, message)
        except Full:
            pass

    def item(self, tag: bytes, data: bytes) -> None:
        self.whole.update(tag + struct.pack(">I", len(data)) + data)

    def data(self, tag: bytes, mode: int, data: bytes) -> None:
        self.item(tag, hashlib.sha256(normal(mode, data)).digest())

    def pin(self, level: Level | None) -> None:
        if level and not level.pinned:
            self.pin(level.outer)
            level.pinned = True
            self.data(b"B", LINES, content_fields(level.header))

    def cap(self, rest: bytes, outer: Level | None) -> None:
        """rest: from here to the end of the whole message."""
        if self.leaves < LEAVES_MAX and (outer is None or outer.depth <= DEPTH_MAX):
            return
        self.pin(outer)
        self.data(b"Z", LINES, rest)
        raise Full

    def message(self, message: bytes, outer: Level | None, rest: bytes) -> None:
        self.cap(rest, outer)
        header = Header(message)
        if not header.fields:
            header.regular, header.body = False, message
        for name, value, _ in header.fields:
            if name in TOKENS:
                self.field(name + b":", value)
        self.entity(header, outer, rest[len(message) - len(header.body):])

    def field(self, key: bytes, value: bytes) -> None:
        if len(value) > FIELD_MAX or b"\0" in value:
            return self.data(b"L", LINES, key + value)
        flat = unfold(value)
        if key == b"from:":
            flat = without_address(flat)
        try:
            self.item(b"F", key + canonical_text(flat))
        except Irregular:
            self.item(b"R", key + flat)
        return None

    def entity(self, header: Header, outer: Level | None, rest: bytes) -> None:
        body = header.body
        try:
            if not header.regular:
                raise Irregular
            content = Content(header)
            if content.kind.startswith(b"multipart/"):
                if content.encoded or not content.boundary:
                    raise Irregular
                cut = cut_multipart(body, content.boundary)
            elif content.kind not in MESSAGES or content.encoded:
                self.leaf(content, content.decoded(body))
                return
        except Irregular:
            self.pin(outer)
            self.leaves += 1
            self.data(b"O", LINES, content_fields(header) + b"\n" + body)
            return
        level = Level(outer, header)
        if content.kind.startswith(b"multipart/"):
            self.content(b"M", content)
            self.multipart(cut, level, rest)
        else:
            self.content(b"A", content)
            self.message(body, level, rest)
        self.item(b"E", b"")

    def content(self, tag: bytes, content: Content) -> None:
        self.item(tag, content.type or b"")
        if content.disposition is not None:
            self.item(b"D", content.disposition)

    def leaf(self, content: Content, data: bytes) -> None:
        self.leaves += 1
        self.content(b"P", content)
        self.data(b"C", content.mode(), data)

    def multipart(self, cut: tuple[bytes, list[tuple[int, bytes]], bytes], level: Level,
                  rest: bytes) -> None:
        preamble, parts, epilogue = cut
        if preamble.strip(b"\r\n"):
            self.data(b"X", LINES, preamble)
        for start, part in parts:
            self.cap(rest[start:], level)
            header = Header(part)
            self.entity(header, level, rest[start + len(part) - len(header.body):])
        if epilogue.strip(b"\r\n"):
            self.data(b"X", LINES, epilogue)


def content_fields(header: Header) -> bytes:
    return b"".join(re.sub(rb"\r\Z", b"", source) + b"\n" for name, _, source in header.fields
                    if NAME.match(source).group(1).lower() in CONTENT)


def digest(message: bytes) -> str:
    return Digest(message).whole.hexdigest()


if __name__ == "__main__":
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            print(digest(file.read()), path)
