"""Real servers for the tests and the demonstration: Redis, rspamd and Dovecot, each a private
instance on free loopback ports in a temporary folder. Nothing of the machine's own set-up is
read or touched, several stacks run side by side, and nothing outlives the process that
started it, however that ends.

    with Stack() as stack:
        stack.dovecot.append("spam@example.org", "INBOX", raw)
        print(stack.rspamd.learns())
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import grp
import http.client
import imaplib
import json
import os
import pwd
import random
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

HOST = "127.0.0.1"
READY_SECONDS = 60  # a server that is not ready by then never will be
STOP_SECONDS = 10  # then it is killed
SERVER_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin"
START_TRIES = 5  # ports may be taken between choosing and binding

os.umask(0o022)  # servers run as users of their own, and read what is written here


class ServerError(Exception):
    """A server did not do what a test needs of it; the text ends with its log."""


class PortInUse(ServerError):
    """Someone else took a port first: start() tries again with others."""


def free_port() -> int:
    """A loopback port that nobody listens on, from below the range that the kernel gives to
    outgoing connections: those would take it between here and the server's bind."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def free_ports(count: int) -> list[int]:
    """Different ones."""
    ports: dict[int, None] = {}
    while len(ports) < count:
        ports[free_port()] = None
    return list(ports)


def temporary_folder(prefix: str = "learnspool-") -> Path:
    """Servers drop to users of their own, so everybody may pass through (not look inside)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    return folder


def crlf(raw: bytes) -> bytes:
    """Mail as it is on the wire: each line ends in CRLF."""
    return re.sub(rb"\r?\n", b"\r\n", raw)


class Server:
    """One server process, leader of a session of its own, its output in a log file."""

    name = "server"
    ports: tuple[str, ...] = ("port",)  # attributes; kept over stop() and start()
    port = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        self.log = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self) -> list[str]:
        """Write the configuration, return the command."""
        raise NotImplementedError

    def ready(self) -> bool:
        """True when it answers; connection errors mean not yet."""
        raise NotImplementedError

    def start(self) -> Any:
        for left in reversed(range(START_TRIES)):
            if not self.port:
                for name, port in zip(self.ports, free_ports(len(self.ports))):
                    setattr(self, name, port)
            try:
                self._launch(self.configure())
                self._wait()
                break
            except BaseException as error:
                self.stop()
                if not (isinstance(error, PortInUse) and left):
                    raise
                self.port = 0
        return self

    def stop(self) -> None:
        """End the server and whatever it forked; safe to call again."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines: int = 15) -> str:
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _launch(self, command: list[str]) -> None:
        # setpriv has the kernel end the server when we die (exactly: the thread that started
        # it), even by SIGKILL.
        command = ["setpriv", "--pdeathsig", "TERM", "--", *command]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=dict(os.environ, PATH=SERVER_PATH), cwd=self.folder, start_new_session=True)
        atexit.register(self.stop)

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                raise self._failure("ended while starting")
            with contextlib.suppress(OSError, http.client.HTTPException):
                # A port that answers is another's if our server could not bind it.
                if self.ready() and self.running and not self._in_use():
                    return
            time.sleep(0.02)
        raise self._failure(f"not ready after {READY_SECONDS} s")

    def _in_use(self) -> bool:
        return "address already in use" in self.log_tail(1000).lower()

    def _failure(self, what: str) -> ServerError:
        kind = PortInUse if self._in_use() else ServerError
        return kind(f"{self.name}: {what}\n{self.log_tail()}")

    def __enter__(self) -> Any:
        return self if self.running else self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()


class Redis(Server):
    """Rspamd's memory, by Redis or Valkey. Nothing is written to disk."""

    name = "redis"
    programs: tuple[str, ...] = ("redis-server", "valkey-server")  # the first that is installed

    def configure(self) -> list[str]:
        self.folder.mkdir(exist_ok=True)
        program = next(filter(shutil.which, self.programs), self.programs[0])
        return [program, "--bind", HOST, "--port", str(self.port), "--save", "",
                "--appendonly", "no", "--dir", str(self.folder)]

    def ready(self) -> bool:
        # The process id: what answers on this port is ours.
        return f"process_id:{self.pid}\r\n".encode() in self.call("INFO", "server")

    def call(self, *words: str) -> Any:
        """One command over a connection of its own; bytes, int, None or a list of those."""
        with socket.create_connection((HOST, self.port), 10) as link, link.makefile("rb") as f:
            parts = [f"${len(w.encode())}\r\n{w}\r\n" for w in words]
            link.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            return self._reply(f)

    def _reply(self, f: Any) -> Any:
        line = f.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise ServerError(f"redis: {rest.decode()}")
        if kind == b"$":
            return None if rest == b"-1" else f.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._reply(f) for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest


class Valkey(Redis):
    programs = ("valkey-server",)


RSPAMD_CONF = """\
.include "$CONFDIR/common.conf"

options {{
	pidfile = "{d}/rspamd.pid";
	.include "$CONFDIR/options.inc"
	.include(try=true; priority=1; duplicate=merge) "$LOCAL_CONFDIR/local.d/options.inc"
	.include(priority=10) "$LOCAL_CONFDIR/override.d/options.inc"
}}

logging {{ type = "console"; level = "notice"; color = false; }}

worker "normal" {{
	bind_socket = "{host}:{scan_port}";
	count = {workers};
	mime = true;
}}

worker "controller" {{
	bind_socket = "{host}:{port}";
	count = 1;
	password = "{password}";
	enable_password = "{password}";
	{secure_ip}
	.include(try=true; priority=1; duplicate=merge) "$LOCAL_CONFDIR/local.d/worker-controller.inc"
}}
"""

# Every file of its own stays in its folder, and nobody is asked over the network. Compiling
# hyperscan's databases takes longer than most tests: without, or of top-level domains only.
RSPAMD_OPTIONS = """\
control_socket = "{d}/rspamd.sock mode=0600";
cache_file = "{d}/symbols.cache";
history_file = "{d}/history";
dynamic_conf = "{d}/dynamic";
stats_file = "{d}/stats.ucl";
rrd = "";
hs_cache_dir = "{d}";
tempdir = "{d}";
disable_hyperscan = true;
url_tld = "{d}/tld.dat";
filters = "chartable,regexp";
dns {{ nameserver = ["{host}:9:1"]; timeout = 0.1s; retransmits = 1; }}
"""

# Debian's rspamd brought the list along, until it took that of the publicsuffix package.
RSPAMD_TLDS = ("/usr/share/rspamd/effective_tld_names.dat",
               "/usr/share/publicsuffix/effective_tld_names.dat")

# What asks the network, or other mail servers, for an opinion: there is none in a test.
RSPAMD_OFF = ("arc", "asn", "dkim", "dkim_signing", "dmarc", "fuzzy_check", "greylist",
              "history_redis", "hfilter", "mx_check", "neural", "once_received", "phishing",
              "ratelimit", "rbl", "replies", "reputation", "rspamd_update", "spf", "surbl",
              "url_redirector")


class Rspamd(Server):
    """Scanner and controller with Bayes in a Redis (none: a broken set-up, on purpose). port is
    the controller's: learns and /stat."""

    name = "rspamd"
    ports = ("port", "scan_port")
    scan_port = 0

    def __init__(self, folder: Path, redis: Redis | None, *, password: str = "q1",
                 trust_loopback: bool = True, workers: int = 1,
                 local: dict[str, str] | None = None) -> None:
        """trust_loopback is Debian's default: a wrong password is accepted from here. local
        maps names in local.d to their text."""
        super().__init__(folder)
        self.redis = redis
        self.password = password
        self.trust_loopback = trust_loopback
        self.workers = workers
        self.local = local or {}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def configure(self) -> list[str]:
        local, override = self.folder / "local.d", self.folder / "override.d"
        for folder in (local, override):
            folder.mkdir(parents=True, exist_ok=True)
        files = {f"{module}.conf": "enabled = false;\n" for module in RSPAMD_OFF}
        if self.redis:
            servers = f'servers = "{HOST}:{self.redis.port}";\n'
            files |= {"redis.conf": servers, "classifier-bayes.conf": servers}
        for name, text in (files | self.local).items():
            (local / name).write_text(text)
        names = next(filter(Path.exists, map(Path, RSPAMD_TLDS))).read_text("utf-8")
        tlds = [line for line in names.splitlines()
                if line and "." not in line and not line.startswith("//")]
        (self.folder / "tld.dat").write_text("\n".join(tlds) + "\n", "utf-8")
        options = RSPAMD_OPTIONS.format(d=self.folder, host=HOST)
        (override / "options.inc").write_text(options)
        secure_ip = f'secure_ip = "{HOST}";' if self.trust_loopback else ""
        main = self.folder / "rspamd.conf"
        main.write_text(RSPAMD_CONF.format(
            d=self.folder, host=HOST, port=self.port, scan_port=self.scan_port,
            workers=self.workers, password=self.password, secure_ip=secure_ip))
        command = ["rspamd", "-f", f"--var=LOCAL_CONFDIR={self.folder}", "-c", str(main)]
        if os.geteuid() == 0:
            shutil.chown(self.folder, "_rspamd", "_rspamd")
            command += ["-u", "_rspamd", "-g", "_rspamd"]
        return command

    def ready(self) -> bool:
        return (self.request("GET", "/ping")[0] == 200
                and self.request("GET", "/ping", port=self.scan_port)[0] == 200
                # For the first tenth of a second it does not know its own Redis.
                and (self.redis is None or self.stat()["statfiles"] != []))

    def request(self, method: str, path: str, body: bytes = b"", *, port: int = 0,
                password: str | None = None, **headers: str) -> tuple[int, str, bytes]:
        """Status, reason and body; header names are given with _ for -."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        fields["Password"] = self.password if password is None else password
        link = http.client.HTTPConnection(HOST, port or self.port, timeout=30)
        with contextlib.closing(link):
            link.request(method, path, body or None, fields)
            answer = link.getresponse()
            return answer.status, answer.reason, answer.read()

    def learn(self, kind: str, raw: bytes, **headers: str) -> tuple[int, str, bytes]:
        return self.request("POST", f"/learn{kind}", raw, **headers)

    def learns(self) -> tuple[int, int]:
        """(spam, ham) learned, from Redis: the truth at once, where /stat lags."""
        assert self.redis is not None
        spam, ham = self.redis.call("HMGET", "RS", "learns_spam", "learns_ham")
        return int(spam or 0), int(ham or 0)

    def wait_quiet(self) -> None:
        """Until it is through with what a killed client sent; at the same moment it would learn
        that a second time."""
        before = None
        while before != (before := self.learns()):
            time.sleep(0.05)

    def stat(self) -> dict[str, Any]:
        return json.loads(self.request("GET", "/stat")[2])

    def scan(self, raw: bytes) -> dict[str, Any]:
        """Rspamd's verdict: "action", "score", "symbols" by name."""
        status, reason, body = self.request("POST", "/checkv2", raw, port=self.scan_port)
        if status != 200:
            raise ServerError(f"rspamd: scan: {status} {reason}")
        return json.loads(body)

    def forget(self) -> None:
        """Everything learned is gone; no restart needed."""
        assert self.redis is not None
        self.redis.call("FLUSHALL")


@dataclass(frozen=True)
class Certificate:
    cert: Path
    key: Path


# openssl-ca(1) and not openssl-x509(1), which from OpenSSL 3.4 on makes no expired certificates.
CA_CONF = """\
[ca]
default_ca = ours
[ours]
database = {d}/index
serial = {d}/serial
new_certs_dir = {d}
certificate = {d}/ca.crt
private_key = {d}/ca.key
default_md = sha256
unique_subject = no
policy = names
[names]
commonName = supplied
"""
# What a strict check asks for, as Python's is from 3.13 on.
CA_EXTENSION = "keyUsage=critical,keyCertSign,cRLSign"
CERTIFICATE_EXTENSIONS = """\
subjectAltName={names}
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


class Authority:
    """A certificate authority made on the spot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tls"
        self.folder.mkdir()
        self.cert = self.folder / "ca.crt"
        self._conf = self.folder / "ca.conf"
        self._conf.write_text(CA_CONF.format(d=self.folder))
        (self.folder / "index").touch()
        self._openssl("req", "-x509", *self._new_key(self.folder / "ca.key"), "-out", self.cert,
                      "-days", "2", "-subj", "/CN=learnspool test CA",
                      "-addext", CA_EXTENSION)

    def issue(self, name: str = "server", hosts: Iterable[str] = ("localhost", HOST, "::1"),
              days: int = 2) -> Certificate:
        """A server certificate; days < 0: one that has expired so many days ago."""
        cert, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        names = [("IP:" if re.fullmatch(r"[0-9.]+|.*:.*", h) else "DNS:") + h for h in hosts]
        extensions.write_text(CERTIFICATE_EXTENSIONS.format(names=",".join(names)))
        self._openssl("req", *self._new_key(key), "-out", request, "-subj", f"/CN={name}")
        now = time.time()
        start, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(now + day * 86400))
                      for day in (min(days, 0) - 1, days))
        self._openssl("ca", "-batch", "-notext", "-rand_serial", "-config", self._conf,
                      "-in", request, "-out", cert, "-extfile", extensions,
                      "-startdate", start, "-enddate", end)
        return Certificate(cert, key)

    @staticmethod
    def _new_key(key: Path) -> list[Any]:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", key]

    @staticmethod
    def _openssl(*args: Any) -> None:
        done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
        if done.returncode:
            raise ServerError(f"openssl {args[0]}: {done.stderr}")


DOVECOT_CONF = """\
{head}
protocols = imap lmtp
listen = {host}
base_dir = {d}/run
state_dir = {d}/run
log_path = /dev/stderr
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
first_valid_uid = 1

ssl = yes
{tls}

auth_mechanisms = plain login
auth_failure_delay = 0
{auth}

{mail}
mail_fsync = never
mail_max_userip_connections = 1000
namespace inbox {{
	inbox = yes
	separator = /
	mailbox Junk {{
		auto = subscribe
		special_use = \\Junk
	}}
	mailbox Trash {{
		auto = subscribe
		special_use = \\Trash
	}}
}}

service imap-login {{
	{any_number}
	process_limit = 4
	client_limit = 2000
	inet_listener imap {{
		port = {starttls_port}
	}}
	inet_listener imaps {{
		port = {port}
		ssl = yes
	}}
	{chroot}
}}
service imap {{
	process_limit = 2000
	client_limit = 1
	{a_hundred}
}}
service auth {{
	client_limit = 5000
}}
service lmtp {{
	inet_listener lmtp {{
		port = {lmtp_port}
	}}
}}
service anvil {{
	unix_listener anvil-auth-penalty {{
		mode = 0
	}}
	{chroot}
}}
service stats {{
	{chroot}
}}
"""

# What the two versions call differently.
DOVECOT_23 = {
    "head": "",
    "tls": "ssl_cert = <{cert}\nssl_key = <{key}",
    "auth": """\
passdb {{
	driver = passwd-file
	args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
	driver = passwd-file
	args = username_format=%u {users}
}}""",
    "mail": "mail_location = {mail_format}:~/mail",
    "any_number": "service_count = 0",
    "a_hundred": "service_count = 100",
}
DOVECOT_24 = {
    "head": "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0",
    "tls": "ssl_server_cert_file = {cert}\nssl_server_key_file = {key}",
    "auth": """\
passdb passwd-file {{
	default_password_scheme = PLAIN
	auth_username_format = %{{user}}
	passwd_file_path = {users}
}}
userdb passwd-file {{
	auth_username_format = %{{user}}
	passwd_file_path = {users}
}}""",
    # 2.4.5 would give keywords to new mail of its own accord.
    "mail": "mail_driver = {mail_format}\nmail_path = ~/mail\nmail_attachment_detection_options =",
    "any_number": "restart_request_count = unlimited",
    "a_hundred": "restart_request_count = 100",
}


@functools.cache
def dovecot_version() -> tuple[int, int]:
    """(2, 3) or (2, 4)."""
    said = subprocess.run(["dovecot", "--version"], capture_output=True, text=True,
                          env=dict(os.environ, PATH=SERVER_PATH))
    match = re.match(r"(\d+)\.(\d+)", said.stdout)
    if not match:
        raise ServerError(f"dovecot --version: {said.stdout}{said.stderr}")
    return int(match[1]), int(match[2])


# One appended message: raw mail, flags, and INTERNALDATE in seconds since 1970 (None: now).
Item = tuple[bytes, tuple[str, ...], "float | None"]


class Dovecot(Server):
    """IMAP over TLS (port), IMAP with STARTTLS, and LMTP, with users in a file."""

    name = "dovecot"
    ports = ("port", "starttls_port", "lmtp_port")
    starttls_port = 0
    lmtp_port = 0

    def __init__(self, folder: Path, authority: Authority, *,
                 certificate: Certificate | None = None, mail_format: str = "maildir",
                 extra: str = "") -> None:
        """extra is configuration text that comes last, so it overrides what stands above."""
        super().__init__(folder)
        self.authority = authority
        self.certificate = certificate
        self.mail_format = mail_format
        self.extra = extra
        self.passwords: dict[str, str] = {}
        self.fields: dict[str, str] = {}  # more fields of a user's line in the passwd-file
        # Mail is never kept as root; Dovecot refuses to.
        owner = pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam("nobody")
        self._ids = owner.pw_uid, owner.pw_gid

    def configure(self) -> list[str]:
        (self.folder / "mail").mkdir(parents=True, exist_ok=True)
        root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid())
        os.chown(self.folder / "mail", *self._ids)
        self.certificate = self.certificate or self.authority.issue("dovecot")
        conf = self.folder / "dovecot.conf"
        versions = DOVECOT_24 if dovecot_version() >= (2, 4) else DOVECOT_23
        named = {name: text.format(cert=self.certificate.cert, key=self.certificate.key,
                                   users=self.folder / "users", mail_format=self.mail_format)
                 for name, text in versions.items()}
        # Only root can change its root; an ordinary user runs all of it as itself.
        conf.write_text(DOVECOT_CONF.format(
            **named, d=self.folder, host=HOST, port=self.port,
            internal_user="dovecot" if root else me.pw_name,
            internal_group="dovecot" if root else grp.getgrgid(me.pw_gid).gr_name,
            login_user="dovenull" if root else me.pw_name,
            starttls_port=self.starttls_port, lmtp_port=self.lmtp_port,
            chroot="" if root else "chroot =") + self.extra)
        self._write_users()
        return ["dovecot", "-F", "-c", str(conf)]

    def ready(self) -> bool:
        # Not for long: on a port that someone else took first, it may be no TLS that answers.
        with self._connect(timeout=1) as link:
            return link.recv(4) == b"* OK"

    def url(self, starttls: bool = False) -> str:
        """What an account's url is in the configuration of learnspool."""
        if starttls:
            return f"imap://localhost:{self.starttls_port}"
        return f"imaps://localhost:{self.port}"

    # Users and their mail on disk.

    def add_user(self, user: str, password: str = "secret") -> None:
        self.passwords[user] = password
        if self.folder.exists():
            self._write_users()

    def home(self, user: str) -> Path:
        return self.folder / "mail" / user

    def clear(self) -> None:
        """No user has mail, mailboxes or indexes any more; nobody may be connected."""
        for home in (self.folder / "mail").iterdir():
            shutil.rmtree(home)

    def _write_users(self) -> None:
        uid, gid = self._ids
        lines = [f"{user}:{password}:{uid}:{gid}::{self.home(user)}::"
                 f"{self.fields.get(user, '')}\n"
                 for user, password in self.passwords.items()]
        users, new = self.folder / "users", self.folder / "users.new"
        new.write_text("".join(lines))
        if os.geteuid() == 0:
            shutil.chown(new, "root", "dovecot")
        new.chmod(0o640)
        new.rename(users)

    # Delivering and reading mail.

    def imap(self, user: str, *, starttls: bool = False) -> imaplib.IMAP4:
        """A logged-in connection; the certificate is verified."""
        context = self._tls()
        if starttls:
            link = imaplib.IMAP4("localhost", self.starttls_port)
            link.starttls(context)
        else:
            link = imaplib.IMAP4_SSL("localhost", self.port, ssl_context=context)
        link.login(user, self.passwords[user])
        return link

    @contextlib.contextmanager
    def session(self, user: str, mailbox: str | None = None,
                readonly: bool = False) -> Iterator[imaplib.IMAP4]:
        """imap(), with the mailbox selected, and logged out in the end."""
        link = self.imap(user)
        try:
            if mailbox is not None:
                self.check(link.select(quoted(mailbox), readonly))
            yield link
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                link.logout()

    @staticmethod
    def check(answer: tuple[str, list[Any]]) -> list[Any]:
        """The data of an imaplib answer that must be OK."""
        if answer[0] != "OK":
            raise ServerError(f"dovecot: {answer}")
        return answer[1]

    def append(self, user: str, mailbox: str, raw: bytes, flags: Iterable[str] = (),
               internaldate: float | None = None) -> None:
        self.append_many(user, mailbox, [(raw, tuple(flags), internaldate)])

    def append_many(self, user: str, mailbox: str, items: Iterable[Item | bytes],
                    batch: int = 500) -> None:
        """Thousands of messages, fast: MULTIAPPEND without waiting for each literal."""
        queue = [item if isinstance(item, tuple) else (item, (), None) for item in items]
        with self._connect() as link, link.makefile("rb") as lines:
            lines.readline()
            self._command(link, lines, f'LOGIN "{user}" "{self.passwords[user]}"'.encode())
            self._command(link, lines, b"CREATE " + quoted(mailbox).encode(), may_fail=True)
            for start in range(0, len(queue), batch):
                part = b"".join(map(append_item, queue[start:start + batch]))
                self._command(link, lines, b"APPEND " + quoted(mailbox).encode() + part)

    def lmtp(self, to: str, raw: bytes, mail_from: str = "") -> None:
        """One message as a mail server delivers it."""
        self.lmtp_many(to, [(raw, mail_from)])

    def lmtp_many(self, to: str, mails: Iterable[tuple[bytes, str]]) -> None:
        """(message, envelope sender) each, over one connection."""
        with smtplib.LMTP(HOST, self.lmtp_port) as link:
            for raw, mail_from in mails:
                link.sendmail(mail_from, [to], crlf(raw))

    def flags(self, user: str, mailbox: str = "INBOX") -> dict[int, set[str]]:
        """The flags of each UID; looking changes none of them (EXAMINE, no \\Recent)."""
        with self.session(user, mailbox, readonly=True) as link:
            found = {}
            for line in self.check(link.uid("FETCH", "1:*", "(FLAGS)")):
                if line and (uid := re.search(rb"UID (\d+)", line)):
                    names = re.search(rb"FLAGS \(([^)]*)\)", line)
                    assert names is not None
                    found[int(uid[1])] = set(names[1].decode().split())
            return found

    def messages(self, user: str, mailbox: str = "INBOX") -> dict[int, bytes]:
        """Each UID's message; looking changes nothing."""
        with self.session(user, mailbox, readonly=True) as link:
            pairs = self.check(link.uid("FETCH", "1:*", "(BODY.PEEK[])"))
            return {int(re.search(rb"UID (\d+)", pair[0])[1]): pair[1]  # type: ignore[index]
                    for pair in pairs if isinstance(pair, tuple)}

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority.cert))

    def _connect(self, timeout: float = 60) -> ssl.SSLSocket:
        """Bytes over TLS, for what imaplib cannot do; whose certificate it is does not matter
        (a test may have given this server a bad one)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection((HOST, self.port), timeout))

    @staticmethod
    def _command(link: ssl.SSLSocket, lines: Any, command: bytes,
                 may_fail: bool = False) -> None:
        link.sendall(b"x " + command + b"\r\n")
        for line in iter(lines.readline, b""):
            if line.startswith(b"x "):
                if not line.startswith(b"x OK") and not may_fail:
                    raise ServerError(f"dovecot: {command[:60]!r}: {line!r}")
                return
        raise ServerError(f"dovecot: closed the connection at {command[:60]!r}")


def quoted(mailbox: str) -> str:
    """A mailbox name as an IMAP quoted string, in modified UTF-7 (RFC 3501, 5.1.3)."""
    def encoded(match: re.Match[str]) -> str:
        text = base64.b64encode(match[0].encode("utf-16-be")).decode()
        return "&" + text.rstrip("=").replace("/", ",") + "-"

    ascii_name = re.sub(r"[^\x20-\x7e]+", encoded, mailbox.replace("&", "&-"))
    return '"' + ascii_name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def append_item(item: Item) -> bytes:
    raw, flags, internaldate = item
    date = f" {imaplib.Time2Internaldate(internaldate)}" if internaldate is not None else ""
    return f" ({' '.join(flags)}){date} {{{len(raw)}+}}\r\n".encode() + raw


class Stack:
    """The three servers in one folder, started in order and ended together. Options go to
    Rspamd and Dovecot by name."""

    def __init__(self, *, users: Iterable[str] = ("spam@example.org", "ham@example.org"),
                 rspamd: dict[str, Any] | None = None,
                 dovecot: dict[str, Any] | None = None) -> None:
        self.folder = temporary_folder()
        self._servers: tuple[Server, ...] = ()
        atexit.register(self.stop)
        self.authority = Authority(self.folder)
        self.redis = Redis(self.folder)
        self.rspamd = Rspamd(self.folder, self.redis, **(rspamd or {}))
        self.dovecot = Dovecot(self.folder, self.authority, **(dovecot or {}))
        self._servers = self.redis, self.rspamd, self.dovecot
        for user in users:
            self.dovecot.add_user(user)

    def start(self) -> Stack:
        try:
            for server in self._servers:
                server.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.stop)

    def clean(self) -> None:
        """As it was just after start()."""
        self.dovecot.clear()
        self.rspamd.forget()

    def __enter__(self) -> Stack:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def wait_until(condition: Callable[[], bool], seconds: float = 10, what: str = "") -> None:
    """Poll until it holds; a test that needs a server to come round uses this, not sleep."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ServerError(f"did not happen within {seconds} s: {what or condition}")
        time.sleep(0.02)
