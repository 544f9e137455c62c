"""Users' moves become reports: Dovecot with imap_sieve, the shipped scripts and configuration
as they are, and Postfix that carries the copies to the collection accounts."""

from __future__ import annotations

import http.server
import imaplib
import os
import pwd
import re
import shutil
import smtplib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import corpus
import postfix
from postfix import Postfix, StandIn, in_namespace
from program import Program, fault_program, secret_file
from servers import HOST, Authority, Dovecot, Rspamd, Stack, crlf, dovecot_version

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = sorted((ROOT / "sieve").glob("*.sieve"))
USER, SPAM, HAM = "alice@example.org", "spam@example.org", "ham@example.org"
OTHER_USER = "bob@example.org"
TOKEN = "0123456789abcdef0123456789abcdef0123456789abcdef"
FOLDERS = ("Junk", "Junk/2026", "Trash", "Trash/old", "Archive", "Junkyard")
DATE = '"01-Feb-2024 10:11:12 +0000"'

needs_postfix = pytest.mark.skipif(bool(postfix.missing()), reason=postfix.missing())


def mail(n: int, top: str = "") -> bytes:
    """A message as a mail server stored it."""
    return crlf(f"""{top}Received: from a.example by b.example; Mon, 01 Jan 2024 00:00:00 +0000
From: Somebody <somebody@evil.example>
To: alice@example.org
Subject: offer {n}
Message-ID: <offer-{n}@evil.example>
Date: Mon, 01 Jan 2024 00:00:00 +0000

We have offer number {n} for you.
""".encode())


# What the two versions call differently: where the shipped files are, how delivery runs scripts,
# and the field of a user's line that names one (docs/dovecot.md, step 1).
SUFFIX = "-2.4" if dovecot_version() >= (2, 4) else ""
DELIVERY = """
protocol lmtp {
	mail_plugins = sieve
}
""" if not SUFFIX else """
protocol lmtp {
	mail_plugins {
		sieve = yes
	}
}
"""
# Who gets a report back that cannot be delivered; 2.4 takes no variable for it.
BOUNCES_TO = USER if not SUFFIX else "postmaster@example.org"
COLLECT = ("userdb_sieve=file:{}" if not SUFFIX else
           "userdb_sieve_script=collect userdb_sieve_script/collect/path={}")


class ReportingDovecot(Dovecot):
    """Dovecot as docs/dovecot.md sets it up: contrib/dovecot and sieve/ in /etc/dovecot, or with
    another folder in that path's stead."""

    def __init__(self, folder: Path, authority: Authority, mail_format: str,
                 mta: Postfix | StandIn, spool: Path | None = None) -> None:
        super().__init__(folder, authority, mail_format=mail_format)
        self.mta = mta
        self.spool = spool
        self.etc = self.folder / "etc"
        self.seen = Path("/etc/dovecot") if mta.in_place else self.etc
        self.extra = f"""
namespace inbox {{
	mailbox Archive {{
		auto = create
	}}
}}
sendmail_path = {" ".join(mta.sendmail_command)}
{DELIVERY}
!include {self.etc}/conf.d/90-learnspool.conf
!include_try {self.etc}/conf.d/91-learnspool-spool.conf
"""
        for account in (SPAM, HAM):
            self.fields[account] = COLLECT.format(self.seen / "learnspool" / "collect.sieve")

    def configure(self) -> list[str]:
        self._install()
        command = super().configure()
        self.mta.lmtp_port = self.lmtp_port
        self.mta.prepare()
        for script in SCRIPTS:
            self.sievec(script)
        return self.within(command)

    def within(self, command: list[str]) -> list[str]:
        ours = {self.etc: "/etc/dovecot"} if self.mta.in_place else {}
        return in_namespace({**ours, **self.mta.mounts}, command)

    def sievec(self, script: Path) -> subprocess.CompletedProcess[str]:
        """Compile one script where it is installed."""
        return subprocess.run(
            self.within(["sievec", "-c", str(self.folder / "dovecot.conf"),
                         str(self.seen / "learnspool" / script.name)]),
            capture_output=True, text=True)

    def _install(self) -> None:
        for folder in ("conf.d", "learnspool"):
            (self.etc / folder).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        (self.etc / "conf.d" / "90-learnspool.conf").write_text(self._shipped("90-learnspool"))
        secret = self._shipped("learnspool-secret")
        secret_file(self.etc / "learnspool-secret.conf",
                    re.sub(r"(learnspool_token =).*", rf"\1 {TOKEN}", secret))
        for script in SCRIPTS:
            shutil.copy(script, self.etc / "learnspool")
        if self.spool:
            (self.etc / "conf.d" / "91-learnspool-spool.conf").write_text(
                self._shipped("91-learnspool-spool")
                .replace("/var/spool/learnspool", str(self.spool))
                .replace("/usr/lib/learnspool/sieve", str(self._programs())))

    def _programs(self) -> Path:
        """Where scripts find learnspool, which every user may run there. Not the sanitized one:
        Dovecot limits the memory of its processes."""
        folder = self.folder / "programs"
        folder.mkdir(exist_ok=True)
        shutil.copy(fault_program(), folder / "learnspool")
        return folder

    def _shipped(self, name: str) -> str:
        text = (ROOT / "contrib" / "dovecot" / f"{name}{SUFFIX}.conf").read_text()
        return text.replace("/etc/dovecot", str(self.seen))


class Site(Stack):
    """The whole of a mail server: the stack, with reports, and Postfix."""

    def __init__(self, mail_format: str = "maildir", in_place: bool | None = None,
                 spool: bool = False) -> None:
        super().__init__()
        self.postfix = StandIn(self.folder) if postfix.missing() else Postfix(self.folder, in_place)
        self.spool = self.folder / "spool"
        self.dovecot = ReportingDovecot(self.folder, self.authority, mail_format, self.postfix,
                                        self.spool if spool else None)
        for user in (USER, OTHER_USER, SPAM, HAM):
            self.dovecot.add_user(user)
        self._servers = self.redis, self.rspamd, self.dovecot, self.postfix

    def stop(self) -> None:
        super().stop()
        self.postfix.close()

    def clean(self) -> None:
        self.postfix.drain()
        super().clean()

    def reports(self) -> tuple[list[bytes], list[bytes]]:
        """What the two collection accounts hold, once nothing is under way any more."""
        self.postfix.drain()
        return (list(self.dovecot.messages(SPAM).values()),
                list(self.dovecot.messages(HAM).values()))

    def user(self, name: str = USER) -> imaplib.IMAP4:
        """The user's mail client, with the folders that the tests use."""
        link = self.dovecot.imap(name)
        for folder in FOLDERS:
            link.create(folder)
        return link


# Each storage format, and each way to keep off the machine's own files, where both can be had.
@pytest.fixture(scope="module", params=(("maildir", None), ("sdbox", False)),
                ids=("maildir", "sdbox"))
def each_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with Site(*request.param) as site:
        yield site


@pytest.fixture
def site(each_site: Site) -> Site:
    each_site.clean()
    return each_site


def ok(answer: tuple[str, list[Any]]) -> list[Any]:
    return Dovecot.check(answer)


class Stored(NamedTuple):
    """One message as the user has it."""

    raw: bytes
    flags: frozenset[str]
    date: bytes


def folder(link: imaplib.IMAP4, name: str) -> dict[int, Stored]:
    """Everything in a folder by UID, without touching it."""
    ok(link.select(name, readonly=True))
    found = {}
    for item in ok(link.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")):
        if isinstance(item, tuple):
            uid = int(re.search(rb"UID (\d+)", item[0])[1])  # type: ignore[index]
            flags = re.search(rb"FLAGS \(([^)]*)\)", item[0])[1]  # type: ignore[index]
            date = re.search(rb'INTERNALDATE "([^"]*)"', item[0])[1]  # type: ignore[index]
            found[uid] = Stored(item[1], frozenset(flags.decode().split()) - {r"\Recent"}, date)
    return found


def below_marker(report: bytes) -> bytes:
    """The part of a report that the user saw."""
    top = re.search(rb"^X-Learnspool-Report:.*\r\n(?:[ \t].*\r\n)*", report, re.MULTILINE)
    assert top, report
    return report[top.end():]


def marker(report: bytes) -> str:
    """The value of the topmost X-Learnspool-Report, unfolded."""
    found = re.search(rb"^X-Learnspool-Report:((?:.*\r\n)(?:[ \t].*\r\n)*)", report, re.MULTILINE)
    assert found, report
    return " ".join(found[1].decode().split())


# How clients move mail, and what it says. Each: what the user does with message 1 of a folder.

def move(link: imaplib.IMAP4, target: str) -> None:
    ok(link.uid("MOVE", "1", target))


def copy(link: imaplib.IMAP4, target: str) -> None:
    ok(link.uid("COPY", "1", target))


def copy_expunge(link: imaplib.IMAP4, target: str) -> None:
    """A client that does not know MOVE."""
    copy(link, target)
    ok(link.uid("STORE", "1", "+FLAGS.SILENT", r"(\Deleted)"))
    ok(link.expunge())


WAYS = (move, copy, copy_expunge)

MOVES = (  # from, to, spam reports, ham reports
    ("INBOX", "Junk", 1, 0),
    ("INBOX", "Junk/2026", 1, 0),
    ("Archive", "Junk", 1, 0),
    ("Trash", "Junk", 1, 0),
    ("Junk", "INBOX", 0, 1),
    ("Junk", "Archive", 0, 1),
    ("Junk/2026", "INBOX", 0, 1),
    ("Junk", "Trash", 0, 0),
    ("Junk/2026", "Trash/old", 0, 0),
    ("Junk", "Junk/2026", 1, 0),
    ("Junk", "Junkyard", 0, 1),
    ("INBOX", "Junkyard", 0, 0),
    ("INBOX", "Archive", 0, 0),
    ("Trash", "INBOX", 0, 0),
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("source, target, spam, ham", MOVES)
def test_a_move_is_reported_or_not(site: Site, way: Callable[[imaplib.IMAP4, str], None],
                                   source: str, target: str, spam: int, ham: int) -> None:
    link = site.user()
    site.dovecot.lmtp(USER, mail(1))  # not by APPEND, which is a report in Junk
    ok(link.select("INBOX"))
    if source != "INBOX":
        place(site, source)
    before = folder(link, source)[1]
    ok(link.select(source))
    way(link, target)
    copied = link.response("COPYUID")[1][-1].split()
    got_spam, got_ham = site.reports()
    assert (len(got_spam), len(got_ham)) == (spam, ham)
    after = folder(link, target)
    assert list(after.values()) == [before], "the user has the message once, as it was"
    assert copied[1:] == [b"1", str(*after).encode()], "with the UID that was announced"
    assert list(folder(link, source).values()) == ([before] if way is copy else [])


def place(site: Site, name: str, user: str = USER) -> None:
    """Put the INBOX's one message into a folder without an IMAP event: behind Dovecot's back."""
    done = subprocess.run(
        site.dovecot.within(["doveadm", "-c", str(site.dovecot.folder / "dovecot.conf"), "move",
                             "-u", user, name, "mailbox", "INBOX", "all"]),
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_append_to_junk_is_a_report(site: Site) -> None:
    link = site.user()
    ok(link.append("Junk", r"(\Seen $Forwarded)", DATE, mail(1)))
    ok(link.append("INBOX", "", "", mail(2)))
    spam, ham = site.reports()
    assert [below_marker(report) for report in spam] == [mail(1)] and ham == []
    assert folder(link, "Junk") == {
        1: Stored(mail(1), frozenset({r"\Seen", "$Forwarded"}), b"01-Feb-2024 10:11:12 +0000")}


FLAGS = (  # folder, STORE's arguments one after the other, spam reports, ham reports
    ("INBOX", (("+FLAGS", "($Junk)"),), 1, 0),
    ("INBOX", (("+FLAGS", "(Junk)"),), 1, 0),
    ("INBOX", (("FLAGS", r"(\Seen Junk)"),), 1, 0),
    ("Archive", (("+FLAGS", "($NotJunk)"),), 0, 1),
    ("Junk", (("+FLAGS", "(NonJunk)"),), 0, 1),
    ("INBOX", (("+FLAGS", r"(\Seen \Flagged $Forwarded)"),), 0, 0),
    ("INBOX", (("+FLAGS", "(JunkRecorded MyJunk $Junkish)"),), 0, 0),
    ("INBOX", (("+FLAGS", "($Junk)"), ("+FLAGS", "($Junk)")), 1, 0),
    ("INBOX", (("+FLAGS", "($Junk)"), ("-FLAGS", "($Junk)")), 1, 0),
    ("INBOX", (("+FLAGS", "($Junk)"), ("FLAGS", "(NonJunk)")), 1, 1),
)


@pytest.mark.parametrize("name, stores, spam, ham", FLAGS)
def test_a_flag_is_reported_or_not(site: Site, name: str, stores: tuple[tuple[str, str], ...],
                                   spam: int, ham: int) -> None:
    link = site.user()
    site.dovecot.lmtp(USER, mail(1))
    if name != "INBOX":
        place(site, name)
    before = folder(link, name)[1]
    ok(link.select(name))
    for store in stores:
        ok(link.uid("STORE", "1", *store))
    got_spam, got_ham = site.reports()
    assert (len(got_spam), len(got_ham)) == (spam, ham)
    after = folder(link, name)
    assert after.keys() == {1}
    assert (after[1].raw, after[1].date) == (before.raw, before.date)


def test_a_report_says_who_and_proves_it(site: Site) -> None:
    link = site.user()
    site.dovecot.lmtp(USER, mail(1), "somebody@evil.example")
    ok(link.select("INBOX"))
    move(link, "Junk")
    ok(link.select("Junk"))
    copy(link, "INBOX")
    (spam,), (ham,) = site.reports()
    assert marker(spam) == f"v1; class=spam; user={USER}; token={TOKEN}"
    assert marker(ham) == f"v1; class=ham; user={USER}; token={TOKEN}"
    for report, to in ((spam, SPAM), (ham, HAM)):
        top = report[:report.index(b"X-Learnspool-Report:")].decode()
        names = re.findall(r"^([A-Za-z-]+):", top, re.MULTILINE)
        assert names == ["Return-Path", "Delivered-To", "Received", "Received", "X-Sieve",
                         "X-Sieve-Redirected-From"]
        assert top.startswith(f"Return-Path: <{BOUNCES_TO}>\r\nDelivered-To: {to}\r\n")
    assert all(TOKEN.encode() not in stored.raw
               for name in ("INBOX", *FOLDERS) for stored in folder(link, name).values())


def test_reported_again_after_a_change_of_mind(site: Site) -> None:
    """Pigeonhole would send one Message-ID to one address only once in twelve hours."""
    link = site.user()
    site.dovecot.lmtp(USER, mail(1))
    for source, target in (("INBOX", "Junk"), ("Junk", "INBOX"), ("INBOX", "Junk")):
        ok(link.select(source))
        ok(link.uid("MOVE", "1:*", target))
        time.sleep(1.1)  # the same second counts as the same report
    spam, ham = site.reports()
    assert (len(spam), len(ham)) == (2, 1)


HOSTILE = {
    "a loop field that names the user": mail(1, top=f"X-Sieve-Redirected-From: {USER}\r\n"),
    "a forged report": mail(1, top="X-Learnspool-Report: v1; class=ham; user=x; token=y\r\n"),
    "no Message-ID": re.sub(rb"Message-ID:.*\r\n", b"", mail(1)),
    "UTF-8 in the header": crlf("From: Ü <a@evil.example>\nDate: x\nSubject: Ü\n\nÜ\n".encode()),
    "60 Received": mail(1, top="Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n" * 60),
    "a line of 5,000 bytes": mail(1) + b"x" * 5000 + b"\r\n",
    "Bcc and Content-Length": mail(1, top="Bcc: me@evil.example\r\nContent-Length: 1\r\n"),
    "control and 8-bit bytes": mail(1) + bytes(set(range(1, 256)) - {10, 13}) + b"\r\n",
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_mail_is_reported_byte_for_byte(site: Site, raw: bytes) -> None:
    site.dovecot.append(USER, "INBOX", raw)
    link = site.user()
    ok(link.select("INBOX"))
    move(link, "Junk")
    spam, _ = site.reports()
    assert [below_marker(report) for report in spam] == [raw]
    assert marker(spam[0]).endswith(f"token={TOKEN}")
    assert [stored.raw for stored in folder(link, "Junk").values()] == [raw]


ADDRESSES = re.compile(rb"^(?:From|Sender|Reply-To|To|Cc|Errors-To):.*\r\n(?:[ \t].*\r\n)*",
                       re.IGNORECASE | re.MULTILINE)


def test_real_mail_is_reported_byte_for_byte(site: Site) -> None:
    """Without the Return-Path, which no redirect keeps. Where an address is no address, in one
    spam of fifty, sendmail(1) mends that field; all else is as it was.

    But for one bug of Pigeonhole 0.5.19 in its edited mail: from dbox storage, a message whose
    size with LF is just up to 8,192 bytes loses the last few bytes of the copy.
    """
    mails = [re.sub(rb"^Return-Path:.*\r\n", b"", crlf(raw), flags=re.MULTILINE)
             for raw in corpus.spam()[:200]]
    site.dovecot.append_many(USER, "INBOX", mails)
    link = site.user()
    ok(link.select("INBOX"))
    ok(link.uid("MOVE", "1:*", "Junk"))
    got = list(map(below_marker, site.reports()[0]))
    assert len(got) == len(mails)
    for copied, raw in zip(*(sorted(ADDRESSES.sub(b"", m) for m in ms) for ms in (got, mails))):
        assert copied == raw or (site.dovecot.mail_format == "sdbox" and raw.startswith(copied)
                                 and len(raw) - len(copied) < 100)
    assert len(set(got) & set(mails)) > 0.95 * len(set(mails))


def test_a_bulk_move_is_quick_and_complete(site: Site) -> None:
    mails = [mail(n) for n in range(200)]
    site.dovecot.append_many(USER, "INBOX", mails)
    link = site.user()
    ok(link.select("INBOX"))
    start = time.monotonic()
    ok(link.uid("MOVE", "1:*", "Junk"))
    took = time.monotonic() - start
    spam, _ = site.reports()
    assert sorted(map(below_marker, spam)) == sorted(mails)
    assert [stored.raw for stored in folder(link, "Junk").values()] == mails
    if site.postfix.in_place:  # where calls of sendmail(1) are not handed over by a script
        assert took < 20, "0.1 s a message on a busy machine; about 8 ms were seen"


@needs_postfix
def test_without_the_mta_moves_work_and_nothing_is_lost(site: Site) -> None:
    mails = [mail(n) for n in range(20)]
    site.dovecot.append_many(USER, "INBOX", mails)
    link = site.user()
    site.postfix.stop()
    try:
        ok(link.select("INBOX"))
        ok(link.uid("MOVE", "1:*", "Junk"))
        assert [stored.raw for stored in folder(link, "Junk").values()] == mails
        assert site.postfix.queued() == 20
        assert site.dovecot.messages(SPAM) == {}
    finally:
        site.postfix.start()
    spam, _ = site.reports()
    assert sorted(map(below_marker, spam)) == sorted(mails)


def test_without_scripts_or_sendmail_moves_work(site: Site) -> None:
    """Reports are lost then; what the user does is not."""
    installed, main_cf = site.dovecot.etc / "learnspool", site.postfix.etc / "main.cf"
    site.dovecot.append_many(USER, "INBOX", [mail(1), mail(2)])
    link = site.user()
    ok(link.select("INBOX"))
    for uid, broken in (("1", main_cf), ("2", installed)):
        aside = broken.rename(broken.with_name("aside"))
        try:
            ok(link.uid("MOVE", uid, "Junk"))
        finally:
            aside.rename(broken)
    assert [stored.raw for stored in folder(link, "Junk").values()] == [mail(1), mail(2)]


def test_collection_accounts_keep_reports_by_their_script(site: Site) -> None:
    """collect.sieve, which the passwd-file names, is what delivers to them."""
    site.dovecot.lmtp(SPAM, mail(1))
    assert len(site.dovecot.messages(SPAM)) == 1
    assert re.search(rf"^.* lmtp\({SPAM}\).* sieve: .* stored mail into mailbox 'INBOX'",
                     site.dovecot.log.read_text(), re.MULTILINE)


def test_collection_accounts_report_nothing(site: Site) -> None:
    """Or what learnspool moves there would come back."""
    site.dovecot.append(HAM, "INBOX", mail(1))
    with site.dovecot.session(HAM, "INBOX") as link:
        ok(link.uid("COPY", "1", "Junk"))
        ok(link.uid("STORE", "1", "+FLAGS", "($Junk)"))
    spam, ham = site.reports()
    assert spam == [] and ham == [mail(1)]


@needs_postfix
def test_mail_from_outside_cannot_carry_the_field(site: Site) -> None:
    """A report that somebody got hold of, token and all: Postfix refuses it."""
    link = site.user()
    site.dovecot.append(USER, "INBOX", mail(1))
    ok(link.select("INBOX"))
    move(link, "Junk")
    (stolen,), _ = site.reports()
    with pytest.raises(smtplib.SMTPDataError, match="not from outside"):
        site.postfix.smtp(HAM, stolen)
    site.postfix.smtp(HAM, mail(2))
    _, ham = site.reports()
    assert [report.endswith(mail(2)) for report in ham] == [True]


@needs_postfix
def test_strangers_cannot_mail_the_collection_accounts(site: Site) -> None:
    """Where reports come by sendmail(1), the two need no mail by SMTP at all."""
    closed = site.postfix.closed_port
    for to in (SPAM, HAM):
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="Access denied"):
            site.postfix.smtp(to, mail(1), port=closed)
    site.postfix.smtp(USER, mail(1), port=closed)
    assert site.reports() == ([], [])
    assert len(site.dovecot.messages(USER)) == 1


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_compile_without_a_word(site: Site, script: Path) -> None:
    done = site.dovecot.sievec(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_users_can_read_neither_token_nor_its_extension(site: Site) -> None:
    secret = site.dovecot.etc / "learnspool-secret.conf"
    assert secret.stat().st_mode & 0o077 == 0
    if os.geteuid() != 0:
        pytest.skip("only root can look as another user")
    conf = str(site.dovecot.folder / "dovecot.conf")
    seen = subprocess.run(
        site.dovecot.within(["setpriv", "--reuid=nobody", "--clear-groups", "doveconf", "-c",
                             conf, "-a"]), capture_output=True, text=True)
    assert seen.returncode == 0 and "learnspool_junk = Junk" in seen.stdout
    assert TOKEN not in seen.stdout + seen.stderr


# With the program: from the user's move to what rspamd learned.

class Recorder:
    """Rspamd's controller, with a note of every message that it was given to learn."""

    def __init__(self, rspamd: Rspamd) -> None:
        self.learned: list[tuple[str, bytes]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
                if handler.path.startswith("/learn"):
                    self.learned.append((handler.path.removeprefix("/learn"), body))
                status, reason, answer = rspamd.request(handler.command, handler.path, body)
                handler.send_response(status, reason)
                handler.send_header("Content-Length", str(len(answer)))
                handler.end_headers()
                handler.wfile.write(answer)

            do_POST = do_GET

            def log_message(handler, *args: object) -> None:  # noqa: N805
                pass

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_from_a_move_to_a_learned_and_expired_message(site: Site, tmp_path: Path) -> None:
    spam, ham = ([well_formed(raw) for raw in mails[:30]]
                 for mails in (corpus.spam(), corpus.ham()))
    spam[0] = re.sub(rb"(?im)^Message-ID:.*\r\n", b"", spam[0])  # Pigeonhole adds one on top
    link = site.user()
    for mails, source, target in ((spam, "INBOX", "Junk"), (ham, "Junk/2026", "Archive")):
        site.dovecot.append_many(USER, "INBOX", mails)
        if source != "INBOX":
            place(site, source)
        ok(link.select(source))
        ok(link.uid("MOVE", "1:*", target))
    site.postfix.drain()

    program = Program(tmp_path)
    with Recorder(site.rspamd) as recorder:
        configure(program, site, recorder, learned="1h")
        done = program("-v", "-v", "run")
        assert done.rc == 0 and TOKEN not in done.out + done.err
        assert site.rspamd.learns() == (30, 30)
        assert sorted(recorder.learned) == sorted([("spam", raw) for raw in spam]
                                                  + [("ham", raw) for raw in ham])
        for account, mark in ((SPAM, "$LearnedSpam"), (HAM, "$LearnedHam")):
            flags = site.dovecot.flags(account)
            assert len(flags) == 30 and all(mark in names for names in flags.values())

        configure(program, site, recorder, learned="0s")
        assert program("run").rc == 0
        assert site.rspamd.learns() == (30, 30)
    assert site.reports() == ([], [])
    assert [stored.raw for stored in folder(link, "Junk").values()] == spam
    assert [stored.raw for stored in folder(link, "Archive").values()] == ham


def well_formed(raw: bytes) -> bytes:
    """With addresses that sendmail(1) has nothing to mend in, and no Return-Path."""
    head, empty, body = crlf(raw).partition(b"\r\n\r\n")
    head = re.sub(rb"^Return-Path:.*\r\n", b"", ADDRESSES.sub(b"", head + b"\r\n"),
                  flags=re.MULTILINE)
    return b"From: a@evil.example\r\nTo: alice@example.org\r\n" + head + empty[2:] + body


def configure(program: Program, site: Site, recorder: Recorder, learned: str) -> None:
    """With rspamd reached through the recorder, and the token that Dovecot has."""
    path = program.configure(site, top=proof(program) + f"retention {{ learned = {learned} }}\n")
    path.write_text(path.read_text().replace(site.rspamd.url, recorder.url))


def proof(program: Program, more: str = "") -> str:
    token = secret_file(program.folder / "token", TOKEN + "\n")
    return f'reports {{ token-file = "{token}" {more} }}\n'


def reported(program: Program) -> list[list[str]]:
    """Who said what of each content in the ledger."""
    return [[f"{one['who']} {one['class']}" for one in event["reporters"]]
            for event in program("--json", "ledger", "list").events
            if event["event"] == "digest"]


def words(n: int) -> bytes:
    """A message with enough of its own words for rspamd."""
    return mail(n) + " ".join(f"word{n}and{i}" for i in range(40)).encode() + b"\r\n"


@needs_postfix
def test_moves_out_of_junk_are_believed_and_strangers_are_not(site: Site, tmp_path: Path) -> None:
    """The token that contrib/dovecot puts into reports is the one that learnspool asks for. A copy
    of the real report teaches nothing, whatever is left of its top."""
    program = Program(tmp_path)
    program.configure(site, top=proof(program))
    link = site.user()
    site.dovecot.lmtp(USER, words(1))
    place(site, "Junk")
    ok(link.select("Junk"))
    move(link, "INBOX")
    _, (real,) = site.reports()
    assert program("learn").rc == 0
    assert site.rspamd.learns() == (0, 1)
    ((who,),) = reported(program)
    assert who.endswith(" ham") and not who.startswith("0" * 16)

    top = real[:real.index(b"Received: from a.example")]
    copies = (top + words(2), top[top.index(b"X-Sieve:"):] + words(3),
              top[top.index(b"X-Learnspool-Report:"):] + words(4), words(5))
    for raw in copies:
        site.postfix.smtp(HAM, raw, USER, port=site.postfix.open_port, source="127.0.0.2")
    site.postfix.drain()
    assert "4 untrusted" in program("learn").out
    assert site.rspamd.learns() == (0, 1)
    flags = site.dovecot.flags(HAM)
    assert [bool(names & {"$LearnSkipped"}) for names in flags.values()] == [False] + 4 * [True]


def test_two_users_must_agree(site: Site, tmp_path: Path) -> None:
    """quorum = 2, by two people's real moves of the same mail."""
    program = Program(tmp_path)
    program.configure(site, top=proof(program, "quorum = 2"))
    for n, user in enumerate((USER, OTHER_USER), 1):
        link = site.user(user)
        site.dovecot.lmtp(user, words(1))
        ok(link.select("INBOX"))
        move(link, "Junk")
        site.postfix.drain()
        assert program("learn").rc == 0
        assert site.rspamd.learns() == (n - 1, 0)
        assert [len(each) for each in reported(program)] == [n]
    assert program("learn").rc == 0
    assert all("$LearnedSpam" in names for names in site.dovecot.flags(SPAM).values())
    assert len(site.dovecot.flags(SPAM)) == 2 and site.rspamd.learns() == (1, 0)


# ---- a spool instead of collection accounts ----

@pytest.fixture(scope="module")
def spool_site() -> Iterator[Site]:
    with Site(spool=True) as started:
        yield started


@pytest.fixture
def spooling(spool_site: Site, program: Program) -> Iterator[Program]:
    """The program, with the spool that the scripts fill."""
    spool_site.clean()
    spool_site.spool.mkdir(mode=0o755)
    password = secret_file(program.folder / "rspamd.password", spool_site.rspamd.password + "\n")
    user = pwd.getpwuid(os.geteuid() or pwd.getpwnam("nobody").pw_uid).pw_name
    secret_file(program.config,
                f'rspamd {{ url = "{spool_site.rspamd.url}"  password-file = "{password}" }}\n'
                f'ledger = "{program.ledger}"\nreports {{ quorum = 2 }}\n'
                f'spool "{spool_site.spool}" {{ trust = "{user}" }}\n')
    assert program("learn").rc == 0
    yield program
    shutil.rmtree(spool_site.spool, ignore_errors=True)


def in_spool(site: Site) -> dict[str, list[bytes]]:
    return {kind: [path.read_bytes() for path in (site.spool / kind).glob("*.report")]
            for kind in ("spam", "ham")}


def test_moves_into_a_spool(spool_site: Site, spooling: Program) -> None:
    """No mail is sent. Each user is a reporter, although all of them are one user to the system:
    two of them make the quorum, and rspamd learns what they saw."""
    site = spool_site
    [spam_mail] = corpus.short(corpus.spam(), 1)
    for user in (USER, OTHER_USER):
        link = site.user(user)
        site.dovecot.lmtp(user, crlf(spam_mail))
        ok(link.select("INBOX"))
        move(link, "Junk")
        [raw] = [stored.raw for stored in folder(link, "Junk").values()]
        link.logout()
    assert site.reports() == ([], [])
    spam = in_spool(site)["spam"]
    assert len(spam) == 2 and in_spool(site)["ham"] == []
    assert {report.split(b"user=")[1].split(b"\n")[0].decode() for report in spam} == {
        USER, OTHER_USER}
    done = spooling("learn")
    assert done.rc == 0 and site.rspamd.learns() == (1, 0), done
    assert raw in {report.split(b"\n", 1)[1] for report in spam}


def test_every_kind_of_move_into_a_spool(spool_site: Site, spooling: Program) -> None:
    """The same moves and flags are reports as by mail."""
    site = spool_site
    for source, target, spam, ham in MOVES:
        for path in site.spool.glob("*/*.report"):
            path.unlink()
        site.clean()
        link = site.user()
        site.dovecot.lmtp(USER, mail(1))
        if source != "INBOX":
            place(site, source)
        before = folder(link, source)[1]
        ok(link.select(source))
        move(link, target)
        there = in_spool(site)
        assert (len(there["spam"]), len(there["ham"])) == (spam, ham), (source, target)
        assert list(folder(link, target).values()) == [before]
        link.logout()


@pytest.mark.parametrize("trouble", ["gone", "closed", "full", "no program"])
def test_a_spool_in_trouble_disturbs_no_move(spool_site: Site, spooling: Program,
                                             trouble: str) -> None:
    """The move succeeds, at once, and the message is as it was; the report is lost, and Dovecot's
    log says so."""
    site = spool_site
    program = site.dovecot.folder / "programs" / "learnspool"
    if trouble == "gone":
        shutil.rmtree(site.spool)
    elif trouble == "closed":
        (site.spool / "spam").chmod(0o500 if os.geteuid() else 0o700)
    elif trouble == "full":
        wrapper = f"#!/bin/sh\nulimit -f 0\ntrap '' XFSZ\nexec {fault_program()} \"$@\"\n"
        program.unlink()
        program.write_text(wrapper)
        program.chmod(0o755)
    else:
        program.unlink()
    link = site.user()
    site.dovecot.lmtp(USER, mail(1))
    ok(link.select("INBOX"))
    before = folder(link, "INBOX")[1]
    ok(link.select("INBOX"))
    begun = time.monotonic()
    move(link, "Junk")
    took = time.monotonic() - begun
    assert list(folder(link, "Junk").values()) == [before] and folder(link, "INBOX") == {}
    assert took < 4, took
    if trouble != "gone":
        (site.spool / "spam").chmod(0o1733)
        assert in_spool(site)["spam"] == []
    program.unlink(missing_ok=True)
    shutil.copy(fault_program(), program)
