"""A Stalwart that does what a script says: the training samples of its users over JMAP, as a
real 0.16.18 gives them, traps and all. Where the script is silent it is honest.

    with FakeStalwart() as stalwart:
        sample = stalwart.add("alice@example.org", True, raw)
        stalwart.lies["/jmap/download/"] = lambda honest: status(503)

What nobody tried on a real one it refuses: references between calls ("#ids"), other objects.
"""

from __future__ import annotations

import base64
import bisect
import contextlib
import hashlib
import itertools
import json
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fakes import Cut, Fake, Reply, Request, drip, endless, read_request, then_cut
from servers import Certificate

Json = dict[str, Any]
CORE, OWN = "urn:ietf:params:jmap:core", "urn:stalwart:jmap"
SAMPLE = "x:SpamTrainingSample"
QUERY, GET, SET = (f"{SAMPLE}/{verb}" for verb in ("query", "get", "set"))
ACCOUNT, SETTINGS = "x:Account/get", "x:SpamSettings/get"
SESSION, API, DOWNLOAD = "/jmap/session", "/jmap/", "/jmap/download/"
RIGHTS = "/api/account"  # what its web interface asks: what this log-in may do

KEY = "API_kJ2vXw9sample9key"
PERMISSIONS = frozenset({"authenticate", "impersonate", "fetchAnyBlob",
                         "sysSpamTrainingSampleQuery", "sysSpamTrainingSampleGet",
                         "sysSpamTrainingSampleDestroy", "sysAccountGet"})
NEEDED = {QUERY: "sysSpamTrainingSampleQuery", GET: "sysSpamTrainingSampleGet",
          SET: "sysSpamTrainingSampleDestroy", ACCOUNT: "sysAccountGet",
          SETTINGS: "sysSpamSettingsGet"}  # the last one is a guess: nobody tried it

LEARN = "learn@example.org"  # the key's own account
ACCOUNTS = {"d": "alice@example.org", "e": "bob@example.org", "f": "carol@example.org",
            "g": LEARN, "h": "spam@example.org", "i": "ham@example.org"}
PUBLIC = "https://mail.elsewhere.example"  # nothing answers there
LIMITS = {"maxSizeUpload": 50_000_000, "maxConcurrentUpload": 4, "maxSizeRequest": 10_000_000,
          "maxConcurrentRequests": 4, "maxCallsInRequest": 16, "maxObjectsInGet": 500,
          "maxObjectsInSet": 500}
MOST_IDS = 5000  # in an answer to a query

# Digits stand behind letters, so that later ids are often earlier in ASCII; the first two are.
ALPHABET = "abcdefghijklmnopqrstuvwxyz792013"
STEP = 1 << 20
FIRST = 0x4BC3_F1D2_0000_000 | ALPHABET.index("z") * STEP


def base32(number: int, length: int = 0) -> str:
    digits = ""
    while number or len(digits) < length:
        digits = ALPHABET[number % 32] + digits
        number //= 32
    return digits


@dataclass(frozen=True)
class Sample:
    number: int  # the server's order
    account: str | None
    is_spam: bool
    blob: str
    sender: str = ""
    subject: str = ""
    expires: str = "2027-05-22T00:00:00Z"

    @property
    def id(self) -> str:
        return base32(self.number, 12)

    def json(self) -> Json:
        return {"id": self.id, "accountId": self.account, "isSpam": self.is_spam,
                "blobId": self.blob, "from": self.sender, "subject": self.subject,
                "expiresAt": self.expires, "deleteAfterUse": False}


@dataclass(frozen=True)
class Asked:
    """A request, as it was understood."""

    method: str
    path: str
    authorization: str = ""
    calls: tuple[tuple[str, Json], ...] = ()  # method and arguments

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@dataclass
class Caller:
    """Who asks: what they may, and as whom."""

    permissions: set[str] = field(default_factory=lambda: set(PERMISSIONS))
    account: str = "g"

    def may(self, permission: str) -> bool:
        return permission in self.permissions


class MethodError(Exception):
    def __init__(self, kind: str, description: str = "") -> None:
        super().__init__(kind)
        self.said = {"type": kind} | ({"description": description} if description else {})


# What the server would have sent (an HTTP response) -> what it sends.
Lie = Callable[[bytes], Reply]
# What a method would have answered -> what it answers: other arguments, or [name, arguments].
Answer = Callable[[Json], object]


class FakeStalwart(Fake):
    """Samples are added by the test, in the server's order. lies are about responses as a whole,
    by the method of a call ("x:SpamTrainingSample/query") or else the beginning of a path;
    answers are about the answer to one call, by method. keys, and users (name -> password and
    caller), may log in."""

    def __init__(self, accounts: Mapping[str, str] | None = None, *,
                 lies: Mapping[str, Lie] | None = None,
                 answers: Mapping[str, Answer] | None = None,
                 certificate: Certificate | None = None) -> None:
        self.accounts = dict(ACCOUNTS if accounts is None else accounts)
        self.lies = dict(lies or {})
        self.answers = dict(answers or {})
        self.samples: list[Sample] = []  # in the server's order
        self.blobs: dict[str, bytes] = {}  # id -> message
        self.owners: dict[str, set[str]] = {}  # blob -> accounts that have it
        self.one_blob = False  # the same content is one blob, whoever has it
        self.tells_rights = True
        self.most_requests = 0  # of one window, after which it says 429; 0: no limit
        self.window = 2.0  # seconds
        self._spent: list[float] = []
        self.keys = {KEY: Caller()}
        self.users = {LEARN: ("secret", Caller())}
        self.settings: Json = {"id": "singleton", "enable": True}
        self.limits = dict(LIMITS)
        self.pause = {"session": 0.0, "post": 0.0, "download": 0.0}  # seconds for each request
        self.requests: list[Asked] = []
        self.most = dict.fromkeys(self.pause, 0)  # requests at a time
        self._now = dict.fromkeys(self.pause, 0)
        self._lock = threading.RLock()
        self._changes = 0
        self._last = FIRST - STEP
        super().__init__(certificate)

    # ---- for the test ----

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://{self.host}:{self.port}"

    def account_id(self, account: str) -> str:
        """Of an address or an id."""
        return next((i for i, address in self.accounts.items() if address == account), account)

    def add(self, account: str | None, is_spam: bool, raw: bytes, *, late: int = 0,
            expires: str = "2027-05-22T00:00:00Z") -> Sample:
        """A decision of this account (address or id; None: the server's own) on a message. late:
        committed behind so many that have higher ids."""
        with self._lock:
            who = None if account is None else self.account_id(account)
            blob = self._store(who or "", raw)
            sample = Sample(self._number(late), who, is_spam, blob, header(raw, "From"),
                            header(raw, "Subject"), expires)
            bisect.insort(self.samples, sample, key=lambda each: each.number)
            self._changes += 1
            return sample

    def remove(self, *ids: str) -> list[str]:
        """Those of them that were there."""
        with self._lock:
            found = {sample.id for sample in self.samples} & set(ids)
            self.samples = [sample for sample in self.samples if sample.id not in found]
            self._changes += bool(found)
            return [each for each in ids if each in found]

    def lose_blob(self, sample: Sample) -> None:
        del self.blobs[sample.blob]

    @property
    def ids(self) -> list[str]:
        return [sample.id for sample in self.samples]

    def permit(self, *permissions: str) -> None:
        """The key has also these."""
        self.keys[KEY].permissions |= set(permissions)

    def forbid(self, *permissions: str) -> None:
        """The key has everything but these."""
        self.keys[KEY].permissions -= set(permissions)

    def calls(self, name: str) -> list[Json]:
        """The arguments of each call of a method."""
        return [args for asked in self.requests for each, args in asked.calls if each == name]

    @property
    def downloads(self) -> list[str]:
        """The ids of blobs, as they were asked for."""
        return [asked.path.split("/")[4] for asked in self.requests
                if asked.path.startswith(DOWNLOAD)]

    def _number(self, late: int) -> int:
        numbers = [sample.number for sample in self.samples]
        if not late:
            self._last += STEP
            return self._last
        before = numbers[-late - 1] if late < len(numbers) else FIRST - STEP
        return (before + numbers[-late]) // 2

    def _store(self, account: str, raw: bytes) -> str:
        salt = b"" if self.one_blob else account.encode()
        digest = hashlib.sha256(salt + b"\0" + raw).digest()
        blob = "e" + base32(int.from_bytes(digest, "big"), 52)
        self.blobs[blob] = raw
        self.owners.setdefault(blob, set()).add(account)
        return blob

    # ---- HTTP ----

    def serve(self, link: socket.socket) -> None:
        with link.makefile("rb") as stream:
            while True:
                request = read_request(stream)
                asked = understood(request)
                self.requests.append(asked)
                kind = ("post" if request.method == "POST" else
                        "download" if request.path.startswith(DOWNLOAD) else "session")
                with self._counted(kind) as crowd:
                    honest = self._respond(request, asked, crowd)
                    time.sleep(self.pause[kind])
                self._say(link, self._lie(asked, honest))

    @contextlib.contextmanager
    def _counted(self, kind: str) -> Iterator[int]:
        with self._lock:
            self._now[kind] += 1
            crowd = self._now[kind]
            self.most[kind] = max(self.most[kind], crowd)
        try:
            yield crowd
        finally:
            with self._lock:
                self._now[kind] -= 1

    def _lie(self, asked: Asked, honest: bytes) -> Reply:
        for name in asked.names:
            if name in self.lies:
                return self.lies[name](honest)
        paths = [key for key in self.lies if key[0] == "/" and asked.path.startswith(key)]
        return self.lies[max(paths, key=len)](honest) if paths else honest

    @staticmethod
    def _say(link: socket.socket, reply: Reply) -> None:
        """All of it; Cut, where it says that the connection ends."""
        head = b""
        for piece in [reply] if isinstance(reply, bytes) else reply:
            head += piece[:4096 - len(head)]
            link.sendall(piece)
        if b"\r\nconnection: close" in head.partition(b"\r\n\r\n")[0].lower():
            raise Cut

    def _respond(self, request: Request, asked: Asked, crowd: int) -> bytes:
        caller = self._caller(asked.authorization)
        path = urlsplit(asked.path).path
        if caller is None:
            return problem(401, "Unauthorized", "You have to authenticate first.",
                           b'WWW-Authenticate: Bearer realm="Stalwart Server"\r\n'
                           b'WWW-Authenticate: Basic realm="Stalwart Server"\r\n')
        if not caller.may("authenticate"):
            return problem(403, "Forbidden", "You do not have enough permissions.")
        if (wait := self._spend(caller)) > 0:
            return problem(429, "Too Many Requests", "Your request has been rate limited.",
                           b"Retry-After: %d\r\n" % math.ceil(wait))
        if (asked.method, path) == ("GET", RIGHTS) and self.tells_rights:
            return response(200, json.dumps({"permissions": sorted(caller.permissions)}).encode())
        if (asked.method, path) == ("GET", SESSION):
            return response(200, json.dumps(self._session(caller)).encode())
        if asked.method == "GET" and path.startswith(DOWNLOAD):
            return self._download(caller, path)
        if (asked.method, path) == ("POST", API):
            return self._api(caller, request.body, crowd)
        return problem(404, "Not Found", "The requested resource does not exist.")

    def _caller(self, authorization: str) -> Caller | None:
        kind, _, token = authorization.partition(" ")
        if kind == "Bearer":
            return self.keys.get(token)
        if kind != "Basic":
            return None
        name, _, password = base64.b64decode(token).decode().partition(":")
        wanted, caller = self.users.get(name, (None, None))
        return caller if password == wanted else None

    def _spend(self, caller: Caller) -> float:
        """Seconds until a request is free again; 0: this one was."""
        now = time.monotonic()
        if not self.most_requests or caller.may("unlimitedRequests"):
            return 0
        with self._lock:
            self._spent = [when for when in self._spent if when > now - self.window]
            if len(self._spent) >= self.most_requests:
                return self._spent[0] + self.window - now
            self._spent.append(now)
        return 0

    def _session(self, caller: Caller) -> Json:
        return {"capabilities": {CORE: {**self.limits, "collationAlgorithms": ["i;ascii-numeric"]},
                                 OWN: {}},
                "accounts": {caller.account: {"name": self.accounts.get(caller.account, ""),
                                              "isPersonal": True, "isReadOnly": False,
                                              "accountCapabilities": {CORE: {}, OWN: {}}}},
                "primaryAccounts": {CORE: caller.account, OWN: caller.account},
                "username": self.accounts.get(caller.account, ""),
                "apiUrl": f"{PUBLIC}/jmap/",
                "downloadUrl": PUBLIC + "/jmap/download/{accountId}/{blobId}/{name}?accept={type}",
                "uploadUrl": PUBLIC + "/jmap/upload/{accountId}/",
                "eventSourceUrl": PUBLIC + "/jmap/eventsource/?types={types}",
                "state": "3e25b2a0"}

    def _download(self, caller: Caller, path: str) -> bytes:
        """What one may not have is as if it were not there."""
        words = path.removeprefix(DOWNLOAD).split("/")
        with self._lock:
            blob = words[1] if len(words) == 3 else ""
            raw = self.blobs.get(blob)
            mine = caller.account in self.owners.get(blob, ())
        usable = words[0] == caller.account or (caller.may("impersonate")
                                                and words[0] in self.accounts)
        if raw is None or not usable or not (mine or caller.may("fetchAnyBlob")):
            return problem(404, "Not Found", "The requested resource does not exist.")
        return response(200, raw, "application/octet-stream",
                        b'Content-Disposition: attachment; filename="m.eml"\r\n'
                        b"Cache-Control: private, immutable, max-age=31536000\r\n")

    # ---- JMAP ----

    def _api(self, caller: Caller, body: bytes, crowd: int) -> bytes:
        if crowd > self.limits["maxConcurrentRequests"]:
            return limit("maxConcurrentRequests",
                         "The request exceeds the maximum number of concurrent requests.",
                         b'ratelimit-policy: "concurrent-requests";q=%d\r\nConnection: close\r\n'
                         % self.limits["maxConcurrentRequests"])
        if len(body) > self.limits["maxSizeRequest"]:
            return limit("maxSizeRequest", "The request is larger than the server accepts.")
        try:
            asked = json.loads(body)
            calls = [(str(name), dict(args), str(tag)) for name, args, tag in asked["methodCalls"]]
        except (ValueError, KeyError, TypeError) as error:
            return problem(400, "Invalid request", str(error),
                           kind="urn:ietf:params:jmap:error:notRequest")
        if len(calls) > self.limits["maxCallsInRequest"]:
            return limit("maxCallsInRequest", "The request has too many calls.")
        using = asked.get("using", [])
        said = [[*self._call(caller, name, args, using), tag] for name, args, tag in calls]
        return response(200, json.dumps({"methodResponses": said,
                                         "sessionState": "3e25b2a0"}).encode())

    def _call(self, caller: Caller, name: str, args: Json, using: list[str]) -> Iterable[object]:
        methods = {QUERY: self._query, GET: self._get, SET: self._set, ACCOUNT: self._account,
                   SETTINGS: self._settings}
        try:
            if name not in methods or OWN not in using:
                raise MethodError("unknownMethod", name)
            if not caller.may(NEEDED[name]):
                raise MethodError("forbidden", "You are not authorized to perform this action"
                                  if name != SET else "You are not authorized to create, update "
                                  "or destroy objects of this type")
            if any(arg.startswith("#") for arg in args):
                raise MethodError("invalidResultReference")
            with self._lock:
                honest = methods[name](caller, args)
        except MethodError as error:
            return ["error", error.said]
        said = self.answers[name](honest) if name in self.answers else honest
        return said if isinstance(said, list) else [name, said]

    def _visible(self, caller: Caller) -> list[Sample]:
        return [sample for sample in self.samples
                if caller.may("impersonate") or sample.account == caller.account]

    def _query(self, caller: Caller, args: Json) -> Json:
        wanted = self._visible(caller)
        for name, value in (args.get("filter") or {}).items():
            if name != "accountId" or not caller.may("impersonate"):
                raise MethodError("unsupportedFilter", f"Filter on property {name} is not "
                                  "supported or invalid")
            wanted = [sample for sample in wanted if sample.account == value]
        sort = args.get("sort") or [{"property": "id", "isAscending": False}]
        if len(sort) > 1 or sort[0].get("property") != "id":
            raise MethodError("unsupportedSort", "Sort on this property is not supported")
        ids, ascending = [sample.id for sample in wanted], sort[0].get("isAscending", True)
        most = args.get("limit")
        most = MOST_IDS if most is None else min(most, MOST_IDS)
        page = whole_page if args.get("calculateTotal") else hasty_page
        position, found = page(ids, ascending, most, args)
        said = {"accountId": caller.account, "queryState": base32(self._changes, 1),
                "canCalculateChanges": True, "position": position, "ids": found, "limit": most}
        return said | ({"total": len(ids)} if args.get("calculateTotal") else {})

    def _ids(self, args: Json, what: str, limited: str) -> list[str]:
        ids = args.get(what)
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise MethodError("invalidArguments", what)
        if len(ids) > self.limits[limited]:
            raise MethodError("requestTooLarge")
        return ids

    def _get(self, caller: Caller, args: Json) -> Json:
        there = {sample.id: sample.json() for sample in self._visible(caller)}
        return self._list(caller, args, there)

    def _list(self, caller: Caller, args: Json, there: Mapping[str, Json]) -> Json:
        ids = self._ids(args, "ids", "maxObjectsInGet")
        wanted = args.get("properties")
        return {"accountId": caller.account, "state": base32(self._changes, 1),
                "list": [{key: value for key, value in there[each].items()
                          if wanted is None or key in (*wanted, "id")}
                         for each in ids if each in there],
                "notFound": [each for each in ids if each not in there]}

    def _set(self, caller: Caller, args: Json) -> Json:
        """Of the two lists what is empty is left out."""
        if args.get("create") or args.get("update"):
            raise MethodError("invalidArguments", "samples are only destroyed here")
        ids = self._ids(args, "destroy", "maxObjectsInSet")
        seen = {sample.id for sample in self._visible(caller)}
        done = self.remove(*(each for each in ids if each in seen))
        said = {"accountId": caller.account, "destroyed": done,
                "notDestroyed": {each: {"type": "notFound"} for each in ids if each not in done}}
        return {key: value for key, value in said.items() if value}

    def _account(self, caller: Caller, args: Json) -> Json:
        return self._list(caller, args, {each: {"id": each, "emailAddress": address}
                                         for each, address in self.accounts.items()})

    def _settings(self, caller: Caller, args: Json) -> Json:
        return self._list(caller, args, {"singleton": self.settings})


def whole_page(ids: list[str], ascending: bool, most: int, args: Json) -> tuple[int, list[str]]:
    """With calculateTotal: as RFC 8620 has it."""
    ordered = ids if ascending else ids[::-1]
    anchor, at = args.get("anchor"), args.get("position") or 0
    if anchor is not None:
        if anchor not in ordered:
            raise MethodError("anchorNotFound")
        at = max(ordered.index(anchor) + (args.get("anchorOffset") or 0), 0)
    elif at < 0:
        at = max(len(ordered) + at, 0)
    return at, ordered[at:at + most]


def hasty_page(ids: list[str], ascending: bool, most: int, args: Json) -> tuple[int, list[str]]:
    """Without it: no position, nothing behind an anchor that is gone, the oldest turned round."""
    anchor = args.get("anchor")
    if anchor is not None:
        ids = ids[ids.index(anchor) + 1:] if anchor in ids else []
    return 0, ids[:most] if ascending else ids[:most][::-1]


def header(raw: bytes, name: str) -> str:
    found = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*([^\r\n]*)", raw)
    return found[1].decode("utf-8", "replace") if found else ""


def understood(request: Request) -> Asked:
    calls: list[tuple[str, Json]] = []
    with contextlib.suppress(ValueError, KeyError, TypeError):
        calls += [(name, args) for name, args, _ in json.loads(request.body)["methodCalls"]]
    return Asked(request.method, request.path, request.headers.get("authorization", ""),
                 tuple(calls))


# ---- responses ----

def response(status: int, body: bytes, kind: str = "application/json; charset=utf-8",
             headers: bytes = b"") -> bytes:
    """The connection stays."""
    return (f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n".encode() + headers + b"\r\n" + body)


def problem(status: int, title: str, detail: str, headers: bytes = b"", *,
            kind: str = "about:blank") -> bytes:
    return response(status, json.dumps({"type": kind, "status": status, "title": title,
                                        "detail": detail}).encode(),
                    "application/problem+json", headers)


def limit(name: str, detail: str, headers: bytes = b"") -> bytes:
    return response(400, json.dumps({"type": "urn:ietf:params:jmap:error:limit", "status": 400,
                                     "detail": detail, "limit": name}).encode(),
                    "application/problem+json", headers)


# ---- lies: what may stand for an honest response ----

def status(number: int, headers: bytes = b"") -> bytes:
    """Stalwart's own error."""
    return problem(number, "Error", "Something went wrong.", headers)


def html(number: int = 503) -> bytes:
    """What a proxy says in its place."""
    return response(number, b"<html><head><title>Error</title></head><body>\r\n<center><h1>"
                    b"nginx</h1></center>\r\n</body></html>\r\n", "text/html")


def redirect(url: str, number: int = 307) -> bytes:
    return response(number, b"", headers=f"Location: {url}\r\n".encode())


def parts(honest: bytes) -> tuple[bytes, bytes]:
    """Head (with its last line's end) and body."""
    head, _, body = honest.partition(b"\r\n\r\n")
    return head + b"\r\n", body


def cut_in_head(honest: bytes, reset: bool = False) -> Reply:
    return then_cut(honest[:honest.index(b"\r\n") + 20], reset)


def cut_in_body(honest: bytes, reset: bool = False) -> Reply:
    head, body = parts(honest)
    return then_cut(head + b"\r\n" + body[:len(body) // 2], reset)


def claim(honest: bytes, more: int) -> bytes:
    """Content-Length is wrong by so many."""
    head, body = parts(honest)
    return re.sub(rb"(?i)Content-Length: \d+", b"Content-Length: %d" % (len(body) + more),
                  head) + b"\r\n" + body


def too_short(honest: bytes) -> Reply:
    """Less comes than was promised."""
    return then_cut(claim(honest, 7))


def too_long(honest: bytes) -> Reply:
    """More comes than was promised, and the connection stays."""
    return claim(honest, -7)


def chunked(honest: bytes, size: int = 100) -> bytes:
    """Correct, and without a length."""
    head, body = parts(honest)
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return (re.sub(rb"(?i)Content-Length: \d+", b"Transfer-Encoding: chunked", head) + b"\r\n"
            + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b"")))


def until_closed(honest: bytes) -> bytes:
    """Correct, and as HTTP/1.0 did it: the body ends with the connection."""
    head, body = parts(honest)
    return re.sub(rb"(?i)Content-Length: \d+", b"Connection: close", head) + b"\r\n" + body


def dripping(honest: bytes) -> Reply:
    """A byte every 50 ms."""
    return drip(honest, 0.05)


def huge(honest: bytes) -> Reply:
    """JSON that never ends."""
    head, _ = parts(claim(honest, 1 << 40))
    return endless(head + b'\r\n{"methodResponses":[', b'["x",{},"0"],' * 5000)


def spaces(honest: bytes) -> Reply:
    """Blanks without end, in chunks."""
    head, _ = parts(honest)
    head = re.sub(rb"(?i)Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    return endless(head + b"\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n")


def not_json(honest: bytes) -> bytes:
    return response(200, parts(honest)[1][:-2])


def only_first(n: int, lie: Lie) -> Lie:
    """The truth after so many times."""
    left = itertools.count()
    return lambda honest: lie(honest) if next(left) < n else honest


# ---- answers: what may stand for an honest answer to a call ----

def error(kind: str, description: str = "") -> Answer:
    return lambda honest: ["error", MethodError(kind, description).said]


def endless_pages() -> Answer:
    """Every query has a full page of ids that nobody has seen, and there are always more."""
    number = itertools.count(FIRST + (1 << 50), STEP)
    return lambda honest: honest | {
        "total": 1 << 40, "ids": [base32(next(number), 12) for _ in range(honest["limit"])]}


def twice(honest: Json) -> Json:
    """Each id of a page two times."""
    return honest | {"ids": [each for each in honest["ids"] for _ in range(2)]}


def of_each(change: Callable[[Json], object]) -> Answer:
    """Each object of a list is another."""
    return lambda honest: honest | {"list": [change(each) for each in honest["list"]]}


def vanishing(stalwart: FakeStalwart, *samples: Sample) -> Answer:
    """What was found is destroyed before it can be asked for."""
    def answer(honest: Json) -> Json:
        stalwart.remove(*(sample.id for sample in samples))
        return honest
    return answer
