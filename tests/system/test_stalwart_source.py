"""What users of a Stalwart moved into and out of Junk, learned from its training samples, on a
server that can lie. With after = destroy samples go; everything else only reads."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import stalwart as fake
from fakes import FakeController, by_subject, drip, then_cut, then_silence
from ledgerfile import LedgerFile, backdate
from program import Program, Result, environment, fault_program, secret_file
from servers import free_port, wait_until
from stalwart import (ACCOUNT, API, DOWNLOAD, GET, KEY, LEARN, LIMITS, PERMISSIONS, QUERY,
                      SESSION, SET, Answer, Caller, FakeStalwart, Json, Lie)
from test_states import good, mail, verdicts
from watching import PATIENCE, watching

NAME = "mail.example.org"
ALICE, BOB, CAROL, SPAM, HAM = (f"{name}@example.org"
                                for name in ("alice", "bob", "carol", "spam", "ham"))
DAY = 86400
AT_ONCE = "retention { learned = 0s  known = 0s  skipped = 0s }\n"
NOT_NOW = (69, 75)
WORDS = [f"w{n}" for n in range(6)]


@dataclass
class Site:
    """A Stalwart, a rspamd, and the program between them."""

    program: Program
    rspamd: FakeController
    stalwart: FakeStalwart

    def configure(self, lines: str = "", *, top: str = "", rspamd: str = "", url: str = "",
                  login: str = "") -> None:
        folder = self.program.folder
        password = secret_file(folder / "rspamd.password", self.rspamd.password + "\n")
        key = secret_file(folder / "stalwart.key", KEY + "\n")
        login = login or f'key-file = "{key}"'
        secret_file(self.program.config, f"""
rspamd {{ url = "{self.rspamd.url}"  password-file = "{password}"  tries = 1  {rspamd} }}
ledger = "{self.program.ledger}"
stalwart "{NAME}" {{
    url = "{url or self.stalwart.url}"
    {login}
    timeout = 3s
    {lines}
}}
{top}""")

    def fill(self) -> None:
        """A sample for each of WORDS, of two users and both classes."""
        for n, word in enumerate(WORDS):
            self.stalwart.add((ALICE, BOB)[n % 2], n % 3 > 0, mail(word))

    def learn(self, *words: str) -> Result:
        return good(self.program("learn", *words))

    def taught(self) -> list[tuple[str, str]]:
        return verdicts(self.rspamd)

    def asked(self) -> int:
        """Requests since the last question."""
        count = len(self.stalwart.requests)
        self.stalwart.requests.clear()
        return count

    def refused(self, statuses: tuple[int, ...], *words: str, command: str = "learn") -> None:
        """One line that says so."""
        done = self.program(command)
        assert done.rc in statuses, done
        assert done.err.count("\n") == 1 and all(word in done.err for word in (NAME, *words)), done

    def recovers(self) -> None:
        """Once the server is as it should be, everything of fill() has been learned once, and as
        it is, whatever was before."""
        self.stalwart.lies.clear()
        self.stalwart.answers.clear()
        self.stalwart.limits = dict(LIMITS)
        self.stalwart.keys = {KEY: Caller()}
        done = self.learn()
        assert sorted(request.body for request in self.rspamd.learns) == sorted(
            map(mail, WORDS)), done


@pytest.fixture
def site(program: Program) -> Iterator[Site]:
    with FakeController(by_subject) as rspamd, FakeStalwart() as stalwart:
        found = Site(program, rspamd, stalwart)
        found.configure()
        yield found


def sums(folder: Path) -> dict[str, str]:
    """Every file of the ledger but the lock that readers of LMDB sign in."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir() if path.name != "lock.mdb"}


# ---- what is learned ----

def test_each_decision_is_learned(site: Site) -> None:
    """As what the user made of it, byte for byte, whatever the bytes are; two mailboxes of one
    account in the output; then there is nothing to do, in two requests."""
    odd = b"Subject: \xff\n\nFrom here\r\nto\0there\n"
    site.stalwart.add(ALICE, True, mail("one"))
    site.stalwart.add(BOB, False, odd)
    done = site.learn()
    assert {(request.path, request.body) for request in site.rspamd.learns} == {
        ("/learnspam", mail("one")), ("/learnham", odd)}
    assert f"{NAME} samples: 2 learned" in done.out
    assert "learned 2 (spam 1, ham 1)" in done.out and done.err == ""
    site.asked()
    done = site.learn()
    assert "learned 0" in done.out and site.asked() <= 2 and len(site.rspamd.learns) == 2


def test_what_comes_later(site: Site) -> None:
    """Is learned by the next run, which fetches nothing else."""
    site.fill()
    site.learn()
    site.asked()
    new = [site.stalwart.add(CAROL, True, mail(word)) for word in ("new", "newer")]
    site.learn()
    assert site.taught()[len(WORDS):] == [("spam", "new"), ("spam", "newer")]
    assert sorted(site.stalwart.downloads) == sorted(sample.blob for sample in new)


def test_an_empty_server(site: Site) -> None:
    """Nothing yet, and nothing any more: Stalwart drops what its own classifier has learned."""
    assert "learned 0" in site.learn().out
    site.fill()
    site.learn()
    site.stalwart.remove(*site.stalwart.ids)
    assert "learned 0" in site.learn().out
    site.stalwart.add(ALICE, True, mail("new"))
    site.learn()
    assert site.taught()[len(WORDS):] == [("spam", "new")]


@pytest.mark.parametrize("gone", [[0], [5], [4, 5], [0, 2, 5], list(range(6))])
def test_known_samples_go(site: Site, gone: list[int]) -> None:
    """Also those that a run would go on from."""
    site.fill()
    site.learn()
    site.stalwart.remove(*(site.stalwart.ids[n] for n in gone))
    site.stalwart.add(CAROL, False, mail("new"))
    site.learn()
    assert site.taught()[len(WORDS):] == [("ham", "new")]


def test_what_is_committed_late(site: Site) -> None:
    """Ids are given before samples are stored: one may appear behind what is known already."""
    site.fill()
    site.learn()
    site.stalwart.add(CAROL, True, mail("late"), late=2)
    site.learn()
    site.stalwart.add(CAROL, True, mail("later"), late=2)
    site.stalwart.add(CAROL, True, mail("new"))
    site.learn()
    assert set(site.taught()[len(WORDS):]) == {("spam", word) for word in ("late", "later", "new")}


def test_login_with_a_password(site: Site) -> None:
    """An account's in place of a key; wrong, it is tried once."""
    password = secret_file(site.program.folder / "stalwart.password", "secret\n")
    site.configure(login=f'user = "{LEARN}"  password-file = "{password}"')
    site.fill()
    site.learn()
    assert len(site.rspamd.learns) == len(WORDS)
    wanted = "Basic " + base64.b64encode(f"{LEARN}:secret".encode()).decode()
    assert {asked.authorization for asked in site.stalwart.requests} == {wanted}
    site.stalwart.users.clear()
    site.asked()
    site.refused((77,))
    assert site.asked() == 1


# ---- verdicts ----

@pytest.mark.parametrize("verdict", list(itertools.product((True, False), repeat=3)))
@pytest.mark.parametrize("between", [0, 700])
def test_the_last_decision_wins(site: Site, verdict: tuple[bool, ...], between: int) -> None:
    """Of one user on one message: by the server's order, not by the ids, and although there may
    be pages between. The ones before are not learned."""
    site.stalwart.add(ALICE, verdict[0], mail("one"))
    site.stalwart.add(ALICE, verdict[1], mail("one"))
    for n in range(between):
        site.stalwart.add(BOB, True, mail(f"other{n}"))
    site.stalwart.add(ALICE, verdict[2], mail("one"))
    site.learn()
    kind = "spam" if verdict[2] else "ham"
    assert [pair for pair in site.taught() if pair[1] == "one"] == [(kind, "one")]
    assert len(site.rspamd.learns) == 1 + between
    assert "learned 0" in site.learn().out and len(site.rspamd.learns) == 1 + between


def test_a_change_of_mind_later(site: Site) -> None:
    """And back; also when Stalwart has dropped what was before."""
    for n, is_spam in enumerate((True, False, True)):
        site.stalwart.add(ALICE, is_spam, mail("one"))
        site.learn()
        assert len(site.taught()) == n + 1
        if n == 1:
            site.stalwart.remove(*site.stalwart.ids)
    assert site.taught() == [("spam", "one"), ("ham", "one"), ("spam", "one")]
    site.stalwart.add(ALICE, True, mail("one"))
    site.learn()
    assert len(site.taught()) == 3


@pytest.mark.parametrize("one_blob", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_users_disagree(site: Site, first: bool, one_blob: bool) -> None:
    """The order of samples is the order of verdicts, in one run or in two; whether or not what
    both have is one blob of the server."""
    site.stalwart.one_blob = one_blob
    site.stalwart.add(ALICE, first, mail("one"))
    site.stalwart.add(BOB, not first, mail("one"))
    site.stalwart.add(ALICE, first, mail("two"))
    site.learn()
    site.stalwart.add(BOB, not first, mail("two"))
    site.learn()
    site.learn()
    last = dict((word, kind) for kind, word in site.taught())
    assert set(last.values()) == {"ham" if first else "spam"} and set(last) == {"one", "two"}


def test_a_list_in_another_order(site: Site) -> None:
    """RFC 8620 promises none of what get answers."""
    site.stalwart.answers[GET] = lambda honest: honest | {"list": honest["list"][::-1]}
    for is_spam in (True, False):
        site.stalwart.add(ALICE, is_spam, mail("one"))
    for is_spam in (False, True):
        site.stalwart.add(BOB, is_spam, mail("two"))
    site.learn()
    assert sorted(site.taught()) == [("ham", "one"), ("spam", "two")]


# ---- whose they are ----

@pytest.mark.parametrize("may_ask", [True, False])
@pytest.mark.parametrize("one_blob", [True, False])
def test_the_reporter_is_the_account(site: Site, may_ask: bool, one_blob: bool) -> None:
    """By its address; by its id where nobody may ask for that, which is no error."""
    site.stalwart.one_blob = one_blob
    if not may_ask:
        site.stalwart.forbid("sysAccountGet")
    site.configure(rspamd="deliver-to = reporter")
    for user in (ALICE, BOB):
        site.stalwart.add(user, True, mail("one"))
    site.learn()
    assert sorted(request.headers["deliver-to"] for request in site.rspamd.learns) == (
        [ALICE, BOB] if may_ask else ["d", "e"])


def test_quorum(site: Site) -> None:
    """A user is one reporter, however often."""
    site.configure(top="reports { quorum = 2 }\n")
    for raw in (mail("one"), mail("one"), b"Received: again\r\n" + mail("one")):
        site.stalwart.add(ALICE, True, raw)
    site.learn()
    assert site.taught() == []
    site.stalwart.add(BOB, True, mail("one"))
    site.learn()
    assert site.taught() == [("spam", "one")]


@pytest.mark.parametrize("may_ask", [True, False])
def test_accounts_that_are_left_out(site: Site, may_ask: bool) -> None:
    """What is put into collection accounts is nobody's decision. Where their ids cannot be found
    out, that is an error, and nothing is learned of anybody."""
    site.configure(f'except = {{ "{SPAM}", "{HAM}" }}')
    for user in (SPAM, ALICE, HAM, BOB):
        site.stalwart.add(user, True, mail(user.partition("@")[0]))
    if not may_ask:
        site.stalwart.forbid("sysAccountGet")
        site.refused((77, 78), "sysAccountGet")
        assert site.taught() == []
        site.stalwart.permit("sysAccountGet")
    site.learn()
    assert sorted(site.taught()) == [("spam", "alice"), ("spam", "bob")]
    assert len(site.stalwart.downloads) == 2
    site.asked()
    site.learn()
    assert site.asked() <= 2


def test_addresses_in_another_case(site: Site) -> None:
    site.configure('except = { "Spam@Example.ORG" }')
    site.stalwart.add(SPAM, True, mail("one"))
    site.learn()
    assert site.taught() == []


@pytest.mark.parametrize("lines, wanted", [
    ("", ["one"]), ("accounts-only = true", ["one"]), ("accounts-only = false", ["one", "two"])])
def test_the_servers_own_samples(site: Site, lines: str, wanted: list[str]) -> None:
    """Of no account: spam traps and the like."""
    site.configure(lines)
    site.stalwart.add(ALICE, True, mail("one"))
    site.stalwart.add(None, True, mail("two"))
    site.learn()
    site.learn()
    assert sorted(word for _, word in site.taught()) == wanted


# ---- pages and limits ----

@pytest.mark.parametrize("count, limits", [
    (1700, {}), (40, {"maxObjectsInGet": 3, "maxConcurrentRequests": 1, "maxCallsInRequest": 2}),
    (40, {"maxObjectsInGet": 1})])
def test_many_samples(site: Site, count: int, limits: dict[str, int]) -> None:
    """More than any page or get holds, also where the session's limits are narrow: each once."""
    site.stalwart.limits |= limits
    site.stalwart.pause["download"] = 0.002
    users = [f"user{n}@example.org" for n in range(20)]
    site.stalwart.accounts |= {f"z{n}": user for n, user in enumerate(users)}
    for n in range(count):
        site.stalwart.add(users[n % 20], n % 2 == 0, mail(f"n{n}"))
    done = site.learn()
    assert f"learned {count} (spam {count // 2}, ham {count // 2})" in done.out and done.err == ""
    assert len({request.body for request in site.rspamd.learns}) == count
    assert len(site.rspamd.learns) == len(site.stalwart.downloads) == count
    assert site.stalwart.most["download"] > 1
    assert site.stalwart.most["post"] <= site.stalwart.limits["maxConcurrentRequests"]
    assert all(len(args["ids"]) <= site.stalwart.limits["maxObjectsInGet"]
               for args in site.stalwart.calls(GET) + site.stalwart.calls(ACCOUNT))
    site.asked()
    site.learn()
    assert site.asked() <= 2


def test_max(site: Site) -> None:
    """What is left is learned by the next run."""
    site.fill()
    site.learn("--max", "2")
    assert len(site.rspamd.learns) == 2
    site.learn()
    assert sorted(word for _, word in site.taught()) == WORDS


def test_large_messages(site: Site) -> None:
    """Are skipped, and not asked for again."""
    site.configure(top="max-size = 2K\n")
    site.stalwart.add(ALICE, True, mail("one") + b"filling words\r\n" * 200)
    site.stalwart.add(ALICE, True, mail("two"))
    site.learn()
    assert site.taught() == [("spam", "two")]
    site.asked()
    site.learn()
    assert site.asked() <= 2


# ---- what is gone ----

def test_samples_that_vanish(site: Site) -> None:
    """Between query and get: no error, and the others are learned."""
    site.fill()
    gone = site.stalwart.samples[1], site.stalwart.samples[5]
    site.stalwart.answers[QUERY] = fake.vanishing(site.stalwart, *gone)
    assert site.learn().err == ""
    assert sorted(word for _, word in site.taught()) == ["w0", "w2", "w3", "w4"]
    site.learn()
    assert len(site.rspamd.learns) == 4


@pytest.mark.parametrize("gone", [(0, 5), (0, 1), (4, 5)])
@pytest.mark.parametrize("told", [True, False])
def test_blobs_that_are_gone(site: Site, told: bool, gone: tuple[int, ...]) -> None:
    """No error either, as long as others can be had, whichever comes first, and whether or not the
    server tells what this log-in may do."""
    site.stalwart.tells_rights = told
    site.fill()
    for n in gone:
        site.stalwart.lose_blob(site.stalwart.samples[n])
    assert site.learn().err == ""
    assert sorted(word for _, word in site.taught()) == [
        word for n, word in enumerate(WORDS) if n not in gone]
    assert site.learn().err == "" and len(site.rspamd.learns) == 4
    site.stalwart.add(CAROL, True, mail("new"))
    assert site.learn().err == "" and len(site.rspamd.learns) == 5


# ---- what is refused ----

@pytest.mark.parametrize("permission", sorted(PERMISSIONS - {
    "sysAccountGet", "sysSpamTrainingSampleDestroy"}))
@pytest.mark.parametrize("command", ["learn", "run", "check"])
def test_a_missing_permission(site: Site, permission: str, command: str) -> None:
    """77 and its name in one line, and no sample is settled by it. Two of them are silent: nothing
    is listed, or every message is as if it were gone."""
    site.configure(top="retention { failed = 0s  skipped = 0s }\n")
    site.fill()
    site.stalwart.forbid(permission)
    if command == "check":
        done = site.program("check")
        assert done.rc == 77 and permission in done.out + done.err, done
    else:
        site.refused((77,), permission, command=command)
        site.refused((77,), permission, command=command)
    assert site.rspamd.learns == []
    site.recovers()


@pytest.mark.parametrize("told", [True, False])
def test_messages_of_its_own_prove_nothing(site: Site, told: bool) -> None:
    """Without fetchAnyBlob learn@ still has its own, and without impersonate its own samples."""
    site.stalwart.tells_rights = told
    for permission in ("fetchAnyBlob", "impersonate"):
        site.stalwart.add(LEARN, True, mail(permission))
    site.fill()
    for permission in ("fetchAnyBlob", "impersonate"):
        site.stalwart.forbid(permission)
        site.refused((77,), permission)
        site.stalwart.permit(permission)
    site.learn()
    assert {word for _, word in site.taught()} >= set(WORDS)


def test_a_permission_is_lost_between_runs(site: Site) -> None:
    """What comes then is learned when it is back."""
    site.stalwart.add(ALICE, True, mail("one"))
    site.learn()
    for permission in ("impersonate", "fetchAnyBlob"):
        site.stalwart.add(BOB, True, mail(permission))
        site.stalwart.forbid(permission)
        site.refused((77,), permission)
        site.stalwart.permit(permission)
        site.learn()
        assert site.taught()[-1] == ("spam", permission)


def test_a_wrong_key(site: Site) -> None:
    """One request: each more is a step towards a ban."""
    site.fill()
    site.stalwart.keys.clear()
    site.refused((77,), "key")
    assert site.asked() == 1
    site.recovers()


@pytest.mark.parametrize("told", [True, False])
def test_nothing_can_be_downloaded(site: Site, told: bool) -> None:
    """No message can be had at all, and the permission is there: nobody knows why, if the server
    does not tell; nothing is settled then."""
    site.stalwart.tells_rights = told
    site.fill()
    site.stalwart.lies[DOWNLOAD] = lambda honest: fake.status(404)
    done = site.program("learn")
    assert (done.rc in (0, *NOT_NOW) if told else done.rc in (77, *NOT_NOW)), done
    if not told:
        site.recovers()


def test_a_rate_that_is_limited(site: Site) -> None:
    """So many requests in two seconds: the run waits, or the next ones go on where it ended; and
    no message is taken for broken."""
    site.stalwart.most_requests = 10
    for n in range(20):
        site.stalwart.add(ALICE, True, mail(f"n{n}"))
    for _ in range(12):
        done = site.program("learn")
        assert done.rc in (0, 75) and done.err.count("\n") <= 1, done
        if done.rc == 0:
            break
        time.sleep(2)
    words = [word for _, word in site.taught()]
    assert done.rc == 0 and len(words) == len(set(words)) == 20


# ---- a server in trouble ----

def limited(honest: bytes) -> bytes:
    return fake.limit("maxConcurrentRequests", "The request exceeds the maximum number of "
                      "concurrent requests.", b"Connection: close\r\n")


TROUBLES: dict[str, Lie] = {
    "429": lambda honest: fake.status(429, b"Retry-After: 1\r\n"),
    "500": lambda honest: fake.status(500),
    "503": lambda honest: fake.status(503),
    "502 from a proxy": lambda honest: fake.html(502),
    "200 from a portal": lambda honest: fake.html(200),
    "too many at a time": limited,
    "hangs up": lambda honest: then_cut(),
    "is reset": lambda honest: then_cut(reset=True),
    "cut in the head": fake.cut_in_head,
    "cut in the body": fake.cut_in_body,
    "reset in the body": lambda honest: fake.cut_in_body(honest, True),
    "too short": fake.too_short,
    "silent": lambda honest: then_silence(),
    "silent in the body": lambda honest: then_silence(honest[:-5]),
    "blanks for ever": fake.spaces,
    "no HTTP": lambda honest: then_cut(b"* OK IMAP4rev1 ready\r\n"),
    "endless head": lambda honest: (b"HTTP/1.1 200 OK\r\n" if n == 0 else b"X-%d: y\r\n" % n
                                    for n in itertools.count()),
}
JSON_TROUBLES: dict[str, Lie] = {
    "too long": fake.too_long,
    "no JSON": fake.not_json,
    "nothing": lambda honest: fake.response(200, b""),
    "JSON for ever": fake.huge,
    "null": lambda honest: fake.response(200, b"null"),
    "an empty object": lambda honest: fake.response(200, b"{}"),
    "deep": lambda honest: fake.response(200, b"[" * 1_000_000),
    "bytes": lambda honest: fake.response(200, honest[-40:] + b"\0\xff\xfe"),
}


PLACES = (SESSION, QUERY, GET, DOWNLOAD)
SAID_BY_STATUS = {"429", "500", "503", "502 from a proxy", "too many at a time"}
# Of a message nobody can say that it is not as it should be.
WITH_ANY_BODY = {*JSON_TROUBLES, "200 from a portal", "blanks for ever"}


def at_each_place(folder: Path, what: str, act: Callable[[Site, str], None]) -> None:
    """The trouble with each kind of request, side by side: most of it is waiting."""
    def here(where: str) -> None:
        with FakeController(by_subject) as rspamd, FakeStalwart() as stalwart:
            place = folder / str(PLACES.index(where))
            place.mkdir()
            site = Site(Program(place), rspamd, stalwart)
            site.configure()
            site.fill()
            act(site, where)

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(here, where) for where in PLACES
                     if where != DOWNLOAD or what not in WITH_ANY_BODY]:
            done.result()


@pytest.mark.parametrize("what", [*TROUBLES, *JSON_TROUBLES])
def test_a_server_in_trouble(tmp_path: Path, what: str) -> None:
    """Whatever it is and wherever: one line, nothing changed, and the next run learns
    everything. What is no message is never learned as one."""
    def act(site: Site, where: str) -> None:
        site.stalwart.lies[where] = (TROUBLES | JSON_TROUBLES)[what]
        if where != DOWNLOAD:
            site.refused((*NOT_NOW, 78) if where == SESSION else NOT_NOW)
        elif what in SAID_BY_STATUS:
            site.refused(NOT_NOW)
        else:  # it may be the messages that break the connection: these are named then
            done = site.program("learn")
            assert done.rc in (1, *NOT_NOW) and done.err.count("\n") <= 1, (where, done)
        assert site.rspamd.learns == []
        site.recovers()

    at_each_place(tmp_path, what, act)


@pytest.mark.parametrize("what", TROUBLES)
def test_trouble_that_passes(tmp_path: Path, what: str) -> None:
    """It happens once: the run or the next one learns everything, and each message once."""
    def act(site: Site, where: str) -> None:
        site.stalwart.lies[where] = fake.only_first(1, TROUBLES[what])
        done = site.program("learn")
        assert done.rc in (0, 1, *NOT_NOW, 78) and done.err.count("\n") <= 1, (where, done)
        site.recovers()

    at_each_place(tmp_path, what, act)


def test_a_server_that_is_down(site: Site) -> None:
    site.fill()
    site.configure(url=f"http://127.0.0.1:{free_port()}")
    site.refused(NOT_NOW)
    site.configure()
    site.recovers()


def test_other_ways_to_say_the_same(site: Site) -> None:
    """No Content-Length, connections that end, bytes one by one."""
    site.fill()
    slowly: Lie = lambda honest: drip(honest, 0.001)  # noqa: E731
    for number, (lie, where) in enumerate(((fake.chunked, (SESSION, API, DOWNLOAD)),
                                           (fake.until_closed, (SESSION, API)),
                                           (slowly, (SESSION, API, DOWNLOAD)))):
        site.stalwart.lies = {DOWNLOAD: bytes, **dict.fromkeys(where, lie)}
        new = mail(f"new{number}")
        site.stalwart.add(CAROL, True, new)
        site.learn()
        assert new in [request.body for request in site.rspamd.learns]
    assert len(site.rspamd.learns) == len(WORDS) + 3


def test_a_body_without_an_end_is_no_message(site: Site) -> None:
    """Where only the connection's end ends a body, nobody knows whether it is whole."""
    site.fill()
    site.stalwart.lies[DOWNLOAD] = fake.until_closed
    done = site.program("learn")
    assert done.rc in (1, *NOT_NOW) and site.rspamd.learns == [], done
    site.recovers()


def test_one_message_that_cannot_be_had(site: Site) -> None:
    """The others are learned, and it is when the server gives it."""
    site.fill()
    bad = site.stalwart.samples[2]
    for lie in (TROUBLES["500"], TROUBLES["cut in the body"], TROUBLES["silent in the body"]):
        for account in site.stalwart.accounts:
            site.stalwart.lies[f"{DOWNLOAD}{account}/{bad.blob}"] = lie
        done = site.program("learn")
        assert done.rc in (1, *NOT_NOW), done
    assert sorted(word for _, word in site.taught()) == [w for w in WORDS if w != "w2"]
    site.recovers()


@pytest.mark.parametrize("number", [301, 302, 307, 308])
@pytest.mark.parametrize("where", [SESSION, API, DOWNLOAD])
def test_nobody_is_followed(site: Site, number: int, where: str) -> None:
    """The key goes to the host of the configuration and to no other."""
    site.fill()
    with FakeStalwart() as other:
        site.stalwart.lies[where] = lambda honest: fake.redirect(other.url + where, number)
        site.refused((*NOT_NOW, 78))
        assert other.connections == 0
    site.recovers()


# ---- JSON that lies ----

def each(**change: object) -> Answer:
    return fake.of_each(lambda sample: sample | change)


def without(name: str) -> Answer:
    return fake.of_each(lambda sample: {k: v for k, v in sample.items() if k != name})


def says(**change: object) -> Answer:
    return lambda honest: honest | change


BAD_ANSWERS: dict[str, tuple[str, Answer]] = {
    "ids are numbers": (QUERY, says(ids=[1, 2, 3])),
    "ids are null": (QUERY, says(ids=None)),
    "ids are an object": (QUERY, says(ids={"a": "b"})),
    "no ids": (QUERY, lambda honest: {"total": 6}),
    "an empty id": (QUERY, says(ids=[""])),
    "ids of 10,000 bytes": (QUERY, says(ids=["x" * 10_000] * 400)),
    "ids with line breaks": (QUERY, says(ids=["a\r\nb", "\0", "\x1b[2J"])),
    "total is text": (QUERY, says(total="six")),
    "total is below 0": (QUERY, says(total=-1)),
    "no total": (QUERY, lambda honest: {k: v for k, v in honest.items() if k != "total"}),
    "pages without end": (QUERY, fake.endless_pages()),
    "nothing, of many": (QUERY, says(ids=[], total=1000)),
    "a number for an answer": (QUERY, lambda honest: [QUERY, 7]),
    "another method": (QUERY, lambda honest: [GET, honest]),
    "forgotten": (QUERY, fake.error("serverFail")),
    "unavailable": (GET, fake.error("serverUnavailable")),
    "too large": (GET, fake.error("requestTooLarge")),
    "an error of no kind": (GET, lambda honest: ["error", {}]),
    "list is null": (GET, says(list=None)),
    "list of numbers": (GET, says(list=[1, 2])),
    "isSpam is text": (GET, each(isSpam="false")),
    "isSpam is null": (GET, each(isSpam=None)),
    "no isSpam": (GET, without("isSpam")),
    "blobId is a number": (GET, each(blobId=5)),
    "no blobId": (GET, without("blobId")),
    "blobId of 10,000 bytes": (GET, each(blobId="e" * 10_000)),
    "blobId that climbs": (GET, each(blobId="../../../jmap/session")),
    "blobId with line breaks": (GET, each(blobId="a HTTP/1.1\r\nX: y\r\n\r\n")),
    "accountId is a number": (GET, each(accountId=7)),
    "accountId of 10,000 bytes": (GET, each(accountId="d" * 10_000)),
    "accountId that climbs": (GET, each(accountId="..")),
    "id is another": (GET, each(id="zzzzzzzzzzzz")),
    "no id": (GET, without("id")),
    "who is null": (ACCOUNT, says(list=None)),
    "an address is a number": (ACCOUNT, each(emailAddress=1)),
    "an address with line breaks": (ACCOUNT, each(emailAddress="a\r\nb@example.org")),
    "an address of 10,000 bytes": (ACCOUNT, each(emailAddress="a" * 10_000 + "@example.org")),
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
def test_json_that_lies(site: Site, what: str) -> None:
    """No crash, no request to anywhere else, no message learned as what it is not, a bounded
    number of questions; and the next run learns everything."""
    site.configure(rspamd="deliver-to = reporter")
    site.fill()
    method, answer = BAD_ANSWERS[what]
    site.stalwart.answers[method] = answer
    done = site.program("learn", timeout=60)
    assert done.rc in (0, 1, 77, *NOT_NOW) and done.err.count("\n") <= 10, done
    assert len(site.stalwart.requests) < 2000
    text = done.out + done.err
    assert not [c for c in text if c not in "\n\xa0" and not c.isprintable()], text
    for asked in site.stalwart.requests:
        assert asked.path in (SESSION, API, fake.RIGHTS) or asked.path.startswith(DOWNLOAD), asked
        assert ".." not in asked.path.split("/"), asked
    site.recovers()


def test_an_id_twice(site: Site) -> None:
    """In one page or two: one sample."""
    site.fill()
    site.stalwart.answers[QUERY] = fake.twice
    site.learn()
    site.recovers()


def test_pages_move(site: Site) -> None:
    """What arrives while pages are read shifts them: nothing is left out for ever."""
    for n in range(1200):
        site.stalwart.add(ALICE, True, mail(f"n{n}"))
    fresh = itertools.count()

    def arrive(honest: Json) -> Json:
        for _ in range(3):
            site.stalwart.add(BOB, True, mail(f"fresh{next(fresh)}"))
        return honest

    site.stalwart.answers[QUERY] = arrive
    site.learn()
    site.stalwart.answers.clear()
    site.learn()
    words = [word for _, word in site.taught()]
    assert len(words) == len(set(words)) == len(site.stalwart.samples)


# ---- what goes ----

def test_samples_are_kept(site: Site) -> None:
    """after = keep, which is the default: whatever the retention."""
    site.fill()
    ids = site.stalwart.ids
    for lines in ("", "after = keep"):
        site.configure(lines, top=AT_ONCE)
        good(site.program("run"))
        good(site.program("expire"))
    assert site.stalwart.ids == ids and site.stalwart.calls(SET) == []


def test_samples_are_destroyed(site: Site) -> None:
    """after = destroy: by retention's age, the settled ones only; the messages stay."""
    site.configure("after = destroy", top="retention { learned = 10d }\n")
    site.fill()
    assert site.program("run").rc == 0 and len(site.stalwart.ids) == 6
    bad = site.stalwart.add(ALICE, True, mail("seven", "bad"))
    assert site.program("run").rc == 1 and len(site.stalwart.ids) == 7
    backdate(site.program.ledger, 11 * DAY)
    new = site.stalwart.add(BOB, True, mail("eight"))
    done = good(site.program("expire"))
    assert "expired 6 (6 learned)" in done.out
    assert site.stalwart.ids == [bad.id, new.id] and len(site.stalwart.blobs) == 8
    assert all(len(args["destroy"]) <= 500 for args in site.stalwart.calls(SET))


def test_many_are_destroyed(site: Site) -> None:
    """More than one call may; some are gone already."""
    site.configure("after = destroy", top=AT_ONCE)
    site.stalwart.limits["maxObjectsInSet"] = 100
    for n in range(350):
        site.stalwart.add(ALICE, True, mail(f"n{n}"))
    site.learn()
    site.stalwart.remove(*site.stalwart.ids[::50])
    good(site.program("expire"))
    assert site.stalwart.ids == []
    assert all(len(args["destroy"]) <= 100 for args in site.stalwart.calls(SET))


def test_destroying_is_refused(site: Site) -> None:
    """77 and the permission; what was learned is not forgotten; later they go."""
    site.configure("after = destroy", top=AT_ONCE)
    site.fill()
    site.stalwart.forbid("sysSpamTrainingSampleDestroy")
    site.refused((77,), "sysSpamTrainingSampleDestroy", command="run")
    assert len(site.stalwart.ids) == 6
    site.recovers()
    good(site.program("expire"))
    assert site.stalwart.ids == [] and len(site.rspamd.learns) == 6


@pytest.mark.parametrize("what", ["500", "cut in the body", "silent", "502 from a proxy"])
def test_destroying_is_cut(site: Site, what: str) -> None:
    """Before or after it was done: the next run ends it."""
    site.configure("after = destroy", top=AT_ONCE)
    site.fill()
    site.learn()
    site.stalwart.lies[SET] = fake.only_first(1, TROUBLES[what])
    assert site.program("expire").rc in (0, *NOT_NOW)
    site.recovers()
    good(site.program("expire"))
    assert site.stalwart.ids == []


def test_what_was_not_destroyed(site: Site) -> None:
    """It stays, for the next run."""
    site.configure("after = destroy", top=AT_ONCE)
    site.fill()
    site.learn()
    samples = site.stalwart.samples

    def refuse(honest: Json) -> Json:
        site.stalwart.samples = samples
        return {"notDestroyed": {sample.id: {"type": "forbidden"} for sample in samples}}

    site.stalwart.answers[SET] = refuse
    assert "expired 6" not in site.program("expire").out
    site.stalwart.answers.clear()
    good(site.program("expire"))
    assert site.stalwart.ids == []


# ---- kills ----

@pytest.mark.parametrize("after", ["keep", "destroy"])
def test_a_run_is_killed_at_every_step(site: Site, after: str) -> None:
    """The next run ends as if nothing had happened: nothing is lost, and at most what was in
    flight is sent twice."""
    binary = fault_program()
    program = site.program
    for step in range(1, 300):
        shutil.rmtree(program.ledger)
        program.ledger.mkdir(mode=0o700)
        with FakeController() as rspamd, FakeStalwart() as stalwart:
            here = Site(program, rspamd, stalwart)
            here.configure(f"after = {after}", top=AT_ONCE, rspamd="connections = 2")
            here.fill()
            for is_spam in (True, False):
                stalwart.add(CAROL, is_spam, mail("flip"))
            last = stalwart.samples[-1]
            done = subprocess.run([binary, "--config", program.config, "run"], timeout=60,
                                  capture_output=True,
                                  env=environment({"LEARNSPOOL_FAULT_STEP": str(step)}))
            killed = done.returncode == -signal.SIGKILL
            assert killed or done.returncode == 0, (step, done)
            good(program("run"))
            taught = here.taught()
            assert sorted(set(taught)) == sorted(
                {*(("spam" if n % 3 else "ham", word) for n, word in enumerate(WORDS)),
                 ("ham", "flip")}), step
            assert len(taught) <= len(WORDS) + 1 + (2 if killed else 0), step
            left = stalwart.ids
            assert (last.id in left) == (after == "keep"), step
            assert len(left) == 8 if after == "keep" else len(left) <= 1, step
            count = len(taught)
            good(program("run"))
            assert len(here.taught()) == count, step
        if not killed:
            assert step > 10
            return
    raise AssertionError("it never ends")


# ---- what it says ----

def test_a_dry_run_changes_nothing(site: Site) -> None:
    """Neither here nor there, and says what the run does then."""
    site.configure("after = destroy", top=AT_ONCE)
    dry = good(site.program("run", "--dry-run"))
    assert list(site.program.ledger.iterdir()) == [] and dry.err == ""
    site.fill()
    site.learn("--max", "2")
    ledger, ids = sums(site.program.ledger), site.stalwart.ids
    dry = good(site.program("run", "--dry-run"))
    assert sums(site.program.ledger) == ledger and site.stalwart.ids == ids
    assert site.stalwart.calls(SET) == [] and len(site.rspamd.learns) == 2
    lines = dry.out.splitlines()
    assert sum(line.startswith("learn ") for line in lines) == 4
    assert sum(line.startswith("expire ") for line in lines) == 6
    assert all(f" {NAME} " in line for line in lines if line.startswith(("learn ", "expire ")))
    assert "would learn 4" in dry.out and "mark " not in dry.out
    good(site.program("run"))
    assert len(site.rspamd.learns) == 6 and site.stalwart.ids == []


def test_json(site: Site) -> None:
    """The same facts as of any account."""
    site.fill()
    done = site.learn("--json")
    messages = [event for event in done.events if event["event"] == "message"]
    assert {(event["account"], event["mailbox"]) for event in messages} == {
        (NAME, "samples")}
    assert len(messages) == 6 and all(event["outcome"] == "learned" for event in messages)
    records = [json.loads(line) for line in
               good(site.program("--json", "ledger", "messages")).out.splitlines()]
    assert sum(record.get("account") == NAME for record in records) == 6
    good(site.program("learn", "--account", NAME))
    good(site.program("stats"))


def test_the_ledger(site: Site) -> None:
    """Every record is verified, and a bad one of each kind is found; list and backup work on."""
    site.fill()
    site.learn()
    done = good(site.program("ledger", "verify"))
    # Two mailboxes; of each sample a message, a content and three records; one of the server.
    assert "32 records, all readable" in done.out
    assert len(good(site.program("ledger", "list")).out.splitlines()) == 6
    copy = site.program.folder / "copy.mdb"
    good(site.program("ledger", "backup", copy))
    with LedgerFile(site.program.ledger, "sample") as ledger:
        records = ledger.records()
        kinds = {key[len(NAME) + 1:len(NAME) + 2]: key for key in records}
        assert len(records) == 19 and sorted(kinds) == [b"b", b"h", b"i", b"n"]
        ledger.put({key: records[key][:-1] for key in kinds.values()})
    done = site.program("ledger", "verify")
    assert done.rc == 70 and "4 of 32 records cannot be read" in done.err
    assert site.program("learn").rc == 70
    shutil.copy(copy, site.program.ledger / "data.mdb")
    good(site.program("ledger", "verify"))
    assert "learned 0" in site.learn().out


def test_secrets_are_not_shown(site: Site) -> None:
    """Not with -v -v, not in errors, not on the disk."""
    password = secret_file(site.program.folder / "stalwart.password", "secret\n")
    basic = base64.b64encode(f"{LEARN}:secret".encode()).decode()
    site.fill()
    texts = []
    for login in ("", f'user = "{LEARN}"  password-file = "{password}"'):
        site.configure(login=login)
        for lie in (None, TROUBLES["500"], TROUBLES["cut in the head"],
                    lambda honest: fake.redirect("http://127.0.0.1:1/")):
            site.stalwart.lies = {SESSION: lie} if lie else {}
            for command in ("learn", "check", "run"):
                done = site.program("-v", "-v", command)
                texts += [done.out, done.err]
    for path in site.program.ledger.iterdir():
        texts.append(path.read_bytes().decode("latin-1"))
    assert not [text for text in texts for word in (KEY, KEY[4:], basic) if word in text]


def test_check(site: Site) -> None:
    """It changes nothing, and says what will make false ham: Stalwart's own filter."""
    site.fill()
    done = good(site.program("check"))
    assert NAME in done.out and "WRONG" not in done.out
    assert site.rspamd.learns == [] and site.stalwart.calls(SET) == []
    site.stalwart.permit("sysSpamSettingsGet")
    assert "SpamSettings" in site.program("check").out
    site.stalwart.settings["enable"] = False
    quiet = good(site.program("check"))
    assert "WRONG" not in quiet.out


# ---- the configuration ----

@pytest.mark.parametrize("lines, login, url", [
    ("", " ", ""),
    ("", 'user = "learn@example.org"', ""),
    ('user = "learn@example.org"', "", ""),
    ("after = burn", "", ""), ("after = move", "", ""), ("poll = 0s", "", ""),
    ("nonsense = 1", "", ""),
    ("", "", "http://mail.example.org"), ("", "", "ftp://mail.example.org"),
    ("", "", "https://user:secret@mail.example.org"), ("", "", "https://mail.example.org/?x=1"),
])
def test_a_wrong_configuration(site: Site, lines: str, login: str, url: str) -> None:
    """78 in one line, and nobody is contacted."""
    if login == " ":
        login = "# neither key nor user"
    site.configure(lines, login=login, url=url)
    done = site.program("learn")
    assert done.rc == 78 and done.err.count("\n") == 1, done
    assert site.stalwart.connections == 0


# ---- watch ----

def test_watch(site: Site) -> None:
    """What is moved is learned within poll; a server that goes away and comes back."""
    site.configure("poll = 1s")
    site.fill()
    with watching(site.program) as watch:
        def wait(count: int) -> None:
            wait_until(lambda: len(site.rspamd.learns) == count, PATIENCE,
                       f"{count} learned: {watch.status!r} {watch.err}")

        wait(6)
        for n in range(3):
            site.stalwart.add(CAROL, n % 2 == 0, mail(f"new{n}"))
            wait(7 + n)
        site.stalwart.lies[API] = TROUBLES["503"]
        site.stalwart.add(CAROL, True, mail("down"))
        watch.wait_err(NAME)
        site.stalwart.lies.clear()
        wait(10)
    words = [word for _, word in site.taught()]
    assert len(words) == len(set(words)) == 10
