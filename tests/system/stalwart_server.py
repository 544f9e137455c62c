"""A real Stalwart 0.16, the program that the environment variable STALWART names: private, like
the other servers here, with users, and with an account whose API keys may read what they decided.

    with Stalwart(folder, Authority(folder), ["alice@example.org"]) as stalwart:
        stalwart.append("alice@example.org", "INBOX", raw)
        stalwart.move("alice@example.org", subject, "INBOX", JUNK)
        print(stalwart.samples(), stalwart.key())

Settings are kept in its database, and can be changed over JMAP only. Until it has some it listens
on every address and fetches things: so it is set up in a network of its own, by this file run as
a program, before it is started on free ports of the loopback interface.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import imaplib
import json
import os
import re
import secrets
import shutil
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy import Proxy
from servers import HOST, SERVER_PATH, Authority, Server, ServerError, quoted, wait_until

Json = dict[str, Any]

USING = ["urn:ietf:params:jmap:core", "urn:stalwart:jmap"]
SAMPLE = "x:SpamTrainingSample"
PERMISSIONS = ("authenticate", "impersonate", "fetchAnyBlob", "sysSpamTrainingSampleQuery",
               "sysSpamTrainingSampleGet", "sysSpamTrainingSampleDestroy", "sysAccountGet")
OTHERS = ("sysSpamSettingsGet", "sysSpamClassifierGet", "sysSpamTrainingSampleCreate")  # may be had
DOMAIN = "example.org"
LEARN = f"learn@{DOMAIN}"
JUNK, TRASH = "Junk Mail", "Deleted Items"
MOST_KEYS = 5  # of an account
MOST_IDS = 500  # in one call
SETUP_PORT = 8080
NETWORK_OF_ITS_OWN = ("unshare", "--map-root-user", "--net")
TLS = 1  # which of its ports has it


def program() -> str | None:
    """The server's program, where there is one to test with."""
    return os.environ.get("STALWART")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True)
class Jmap:
    """Requests of one caller, each over a connection of its own."""

    port: int
    authorization: str

    def request(self, method: str, path: str, body: bytes | None = None,
                ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by name in lower case, and body."""
        fields = {"Authorization": self.authorization}
        if body is not None:
            fields["Content-Type"] = "application/json"
        link = http.client.HTTPConnection(HOST, self.port, timeout=30)
        with contextlib.closing(link):
            link.request(method, path, body, fields)
            answer = link.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read()

    def post(self, *calls: tuple[str, Json]) -> list[tuple[str, Json]]:
        """The answers to method calls, errors among them."""
        asked = {"using": USING,
                 "methodCalls": [[name, args, str(n)] for n, (name, args) in enumerate(calls)]}
        status, _, body = self.request("POST", "/jmap/", json.dumps(asked).encode())
        if status != 200:
            raise ServerError(f"stalwart: {status} {body.decode()}")
        return [(name, args) for name, args, _ in json.loads(body)["methodResponses"]]

    def call(self, name: str, args: Json) -> Json:
        """The answer to one method call; errors are not expected."""
        [(said, answer)] = self.post((name, args))
        refused = [answer.get(f"not{what}") for what in ("Created", "Updated", "Destroyed")]
        if said != name or any(refused):
            raise ServerError(f"stalwart: {name} {args}: {said} {answer}")
        return answer

    def create(self, kind: str, value: Json) -> Json:
        """What the server adds to it: "id" and more."""
        created: Json = self.call(f"{kind}/set", {"create": {"new": value}})["created"]["new"]
        return created

    def update(self, kind: str, change: Json) -> None:
        """Of the only object of its kind."""
        self.call(f"{kind}/set", {"update": {"singleton": change}})

    def ids(self, kind: str, **how: Any) -> list[str]:
        ids: list[str] = self.call(f"{kind}/query", {"calculateTotal": True, **how})["ids"]
        return ids

    def destroy(self, kind: str, ids: list[str]) -> None:
        for start in range(0, len(ids), MOST_IDS):
            self.call(f"{kind}/set", {"destroy": ids[start:start + MOST_IDS]})

    def permissions(self) -> set[str]:
        """Which the caller has: of a key, those of the key itself."""
        return set(json.loads(self.request("GET", "/api/account")[2])["permissions"])

    def download(self, blob: str, account: str = "b") -> tuple[int, bytes]:
        """Status and body."""
        status, _, body = self.request("GET", f"/jmap/download/{account}/{blob}/m.eml")
        return status, body


@dataclass(frozen=True)
class Sample:
    id: str
    user: str | None  # None: the server's own doing
    kind: str  # "spam" or "ham"
    blob: str
    subject: str


class Stalwart(Server):
    """JMAP over HTTP (port) and with TLS (tls_port); IMAP and LMTP without. Its own spam filter is
    off, as it is where rspamd filters, and it does not ban."""

    name = "stalwart"
    ports = ("port", "tls_port", "imap_port", "lmtp_port")
    tls_port = 0
    imap_port = 0
    lmtp_port = 0

    def __init__(self, folder: Path, authority: Authority, users: Iterable[str]) -> None:
        super().__init__(folder)
        self.certificate = authority.issue(self.name)
        self.passwords = {user: secrets.token_hex(12) for user in (LEARN, *users)}
        self.admin_password = secrets.token_hex(12)
        self._keys: list[str] = []
        self._set_up_for: tuple[int, ...] = ()

    @property
    def url(self) -> str:
        """As it is in the configuration of learnspool."""
        return f"http://{HOST}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://localhost:{self.tls_port}"

    @property
    def users(self) -> list[str]:
        return [user for user in self.passwords if user != LEARN]

    # Starting it.

    def configure(self) -> list[str]:
        ports = tuple(getattr(self, name) for name in self.ports)
        if self._set_up_for != ports:
            self._set_up(ports)
            self._set_up_for = ports
        return self._command()

    def ready(self) -> bool:
        with imaplib.IMAP4(HOST, self.imap_port, timeout=1):
            return self.admin.request("GET", "/jmap/session")[0] == 200

    def _command(self, **environment: str) -> list[str]:
        admin = f"STALWART_RECOVERY_ADMIN=admin:{self.admin_password}"
        others = [f"{name}={value}" for name, value in environment.items()]
        return ["env", admin, f"STALWART_HOSTNAME=mail.{DOMAIN}", *others,
                program() or "", "--config", str(self.folder / "config.json")]

    def _set_up(self, ports: tuple[int, ...]) -> None:
        """A new database, by a server in a network of its own."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._keys.clear()
        database = {"@type": "Sqlite", "path": str(self.folder / "stalwart.sqlite")}
        (self.folder / "config.json").write_text(json.dumps(database))
        wanted = {"folder": str(self.folder.parent), "ports": ports,
                  "admin": self.admin_password, "passwords": self.passwords,
                  "certificate": self.certificate.cert.read_text(),
                  "key": self.certificate.key.read_text()}
        inside = f'ip link set lo up && exec "{sys.executable}" "{__file__}"'
        done = subprocess.run([*NETWORK_OF_ITS_OWN, "sh", "-c", inside], input=json.dumps(wanted),
                              text=True, capture_output=True,
                              env=dict(os.environ, PATH=SERVER_PATH))
        if done.returncode:
            raise ServerError(f"stalwart: set-up: {done.stderr}")

    # What an administrator does.

    @property
    def admin(self) -> Jmap:
        return Jmap(self.port, basic("admin", self.admin_password))

    @functools.cached_property
    def accounts(self) -> dict[str, str]:
        """Addresses by id."""
        found = self.admin.call("x:Account/get", {"ids": self.admin.ids("x:Account"),
                                                  "properties": ["emailAddress"]})
        return {account["id"]: account["emailAddress"] for account in found["list"]}

    def account_id(self, user: str) -> str:
        return next(each for each, address in self.accounts.items() if address == user)

    def samples(self) -> list[Sample]:
        """All of them, the oldest first."""
        ids = self.admin.ids(SAMPLE, sort=[{"property": "id", "isAscending": True}])
        found = {}
        for start in range(0, len(ids), MOST_IDS):
            asked = {"ids": ids[start:start + MOST_IDS]}
            found |= {each["id"]: each for each in self.admin.call(f"{SAMPLE}/get", asked)["list"]}
        return [Sample(each, self.accounts.get(found[each]["accountId"]),
                       "spam" if found[each]["isSpam"] else "ham", found[each]["blobId"],
                       found[each]["subject"]) for each in ids if each in found]

    def limit_requests(self, count: int | None, seconds: int = 3) -> None:
        """So many for an account (Stalwart's default is 1000 a minute); None: any number. HOST has
        none anyway: Elsewhere has."""
        rate = {"count": count, "period": 1000 * seconds} if count else None
        self.admin.update("x:Http", {"rateLimitAuthenticated": rate})
        self.admin.create("x:Action", {"@type": "ReloadSettings"})

    def key(self, *, without: Iterable[str] = (), and_also: Iterable[str] = ()) -> str:
        """A new API key of learn@; only the last few work."""
        learn = Jmap(self.port, basic(LEARN, self.passwords[LEARN]))
        if len(self._keys) == MOST_KEYS:
            learn.destroy("x:ApiKey", [self._keys.pop(0)])
        names = {*PERMISSIONS, *and_also} - set(without)
        created = learn.create("x:ApiKey", {
            "description": "learnspool",
            "permissions": {"@type": "Replace", "permissions": dict.fromkeys(names, True)}})
        self._keys.append(created["id"])
        secret: str = created["secret"]
        return secret

    def with_key(self, key: str, port: int = 0) -> Jmap:
        return Jmap(port or self.port, f"Bearer {key}")

    def train(self) -> None:
        """As it does twice a day: of each message of a user it drops all samples but the last."""
        def left() -> int:
            return len({(sample.user, sample.blob) for sample in self.samples()})

        self.admin.create("x:Task", {"@type": "SpamFilterMaintenance", "maintenanceType": "train",
                                     "status": {"@type": "Pending"}})
        wait_until(lambda: len(self.samples()) == left(), what="training")

    def clear(self) -> None:
        """No samples and no mail any more."""
        for user in self.users:
            with self.imap(user) as link:
                for mailbox in mailboxes(link):
                    empty(link, mailbox)
        while samples := self.admin.ids(SAMPLE):
            self.admin.destroy(SAMPLE, samples)

    # What users do.

    @contextlib.contextmanager
    def imap(self, user: str, mailbox: str | None = None) -> Iterator[imaplib.IMAP4]:
        """Logged in, with the mailbox selected."""
        link = imaplib.IMAP4(HOST, self.imap_port, timeout=30)
        try:
            link.login(user, self.passwords[user])
            if mailbox is not None:
                check(link.select(quoted(mailbox)))
            yield link
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                link.logout()

    def append(self, user: str, mailbox: str, *mails: bytes) -> None:
        with self.imap(user) as link:
            for raw in mails:
                check(link.append(quoted(mailbox), "", "", raw))

    def deliver(self, user: str, raw: bytes) -> None:
        """As a mail server brings it."""
        before = len(self.messages(user, "INBOX"))
        with smtplib.LMTP(HOST, self.lmtp_port) as link:
            link.sendmail("news@example.com", [user], raw)
        wait_until(lambda: len(self.messages(user, "INBOX")) > before)

    def move(self, user: str, subject: str, source: str, target: str, verb: str = "MOVE") -> None:
        """The messages with this subject, by MOVE or COPY."""
        with self.imap(user, source) as link:
            check(link.uid(verb, by_subject(link, subject), quoted(target)))

    def flag(self, user: str, subject: str, mailbox: str, change: str, flags: str) -> None:
        """change is "+FLAGS" or "-FLAGS"."""
        with self.imap(user, mailbox) as link:
            check(link.uid("STORE", by_subject(link, subject), change, f"({flags})"))

    def messages(self, user: str, mailbox: str) -> list[bytes]:
        with self.imap(user, mailbox) as link:
            pairs = check(link.uid("FETCH", "1:*", "(BODY.PEEK[])"))
            return [pair[1] for pair in pairs if isinstance(pair, tuple)]


class Elsewhere(Proxy):
    """Another way to it, on which the server sees an address that it does not trust."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def _reach(self) -> socket.socket:
        return socket.create_connection((HOST, self.target), 10, ("127.0.0.2", 0))


def check(answer: tuple[str, list[Any]]) -> list[Any]:
    """The data of an imaplib answer that must be OK."""
    if answer[0] != "OK":
        raise ServerError(f"stalwart: {answer}")
    return answer[1]


def by_subject(link: imaplib.IMAP4, subject: str) -> str:
    """UIDs of such messages in the selected mailbox, as a command takes them."""
    pairs = check(link.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    found = [re.search(rb"UID (\d+)", pair[0]) for pair in pairs if isinstance(pair, tuple)
             and pair[1].strip() == f"Subject: {subject}".encode()]
    if not found:
        raise ServerError(f"stalwart: no message {subject!r}")
    return ",".join(match[1].decode() for match in found if match)


def mailboxes(link: imaplib.IMAP4) -> list[str]:
    return [line.decode().rpartition(' "/" ')[2].strip('"') for line in check(link.list())]


def empty(link: imaplib.IMAP4, mailbox: str) -> None:
    if check(link.select(quoted(mailbox)))[0] != b"0":
        check(link.uid("STORE", "1:*", "+FLAGS", r"(\Deleted)"))
        check(link.expunge())


# ---- the set-up ----

class Unset(Stalwart):
    """What a Stalwart is before it has settings: in recovery mode it takes them, and does nothing
    else."""

    ports = ("port",)

    def __init__(self, folder: Path, admin_password: str) -> None:
        Server.__init__(self, folder)
        self.admin_password = admin_password
        self.port = SETUP_PORT

    def configure(self) -> list[str]:
        return self._command(STALWART_RECOVERY_MODE="1", STALWART_RECOVERY_MODE_PORT=str(self.port))

    def ready(self) -> bool:
        return self.admin.request("GET", "/jmap/session")[0] == 200


def settle(admin: Jmap, wanted: Mapping[str, Any]) -> None:
    """What it would otherwise choose for itself, or fetch; and the accounts."""
    domain = admin.create("x:Domain", {"name": DOMAIN})["id"]
    certificate = admin.create("x:Certificate", {
        "certificate": {"@type": "Text", "value": wanted["certificate"]},
        "privateKey": {"@type": "Text", "secret": wanted["key"]}})["id"]
    admin.update("x:SystemSettings", {"defaultHostname": f"mail.{DOMAIN}",
                                      "defaultDomainId": domain,
                                      "defaultCertificateId": certificate})
    for n, (protocol, port) in enumerate(zip(("http", "http", "imap", "lmtp"), wanted["ports"],
                                             strict=True)):
        admin.create("x:NetworkListener", {
            "name": f"{protocol}{n}", "protocol": protocol, "bind": {f"{HOST}:{port}": True},
            "useTls": n == TLS, "tlsImplicit": n == TLS})
    admin.update("x:MtaStageAuth", {"require": {"else": "false"}})
    admin.update("x:Imap", {"allowPlainTextAuth": True, "maxRequestRate": None})
    admin.update("x:Http", {"rateLimitAuthenticated": None, "rateLimitAnonymous": None})
    admin.update("x:Security", {"authBanRate": None, "loiterBanRate": None})
    admin.update("x:SpamSettings", {"enable": False, "spamFilterRulesUrl": None})
    admin.update("x:SpamPyzor", {"enable": False})
    admin.update("x:Asn", {"@type": "Resource", "asnUrls": {}, "geoUrls": {}})
    for each in admin.ids("x:Application"):  # it would make one, if there were none
        admin.call("x:Application/set", {"update": {each: {"enabled": False}}})
    admin.create("x:Tracer", {"@type": "Stdout", "enable": True})
    more = {"@type": "Merge", "enabledPermissions": dict.fromkeys(PERMISSIONS + OTHERS, True)}
    for user, password in wanted["passwords"].items():
        admin.create("x:Account", {
            "@type": "User", "name": user.partition("@")[0], "domainId": domain,
            "credentials": {"0": {"@type": "Password", "secret": password}},
            "permissions": more if user == LEARN else {"@type": "Inherit"}})


def main() -> None:
    wanted = json.load(sys.stdin)
    with Unset(Path(wanted["folder"]), wanted["admin"]) as server:
        settle(server.admin, wanted)


if __name__ == "__main__":
    main()
