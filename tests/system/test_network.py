"""Networks that fail: either connection is cut, stalled or delayed between any two bytes of
what is said. Nothing is lost, nothing is marked that was not learned, and the next run ends
where a run without the fault would have."""

from __future__ import annotations

from dataclasses import replace

import pytest

import corpus
from fakes import FakeController, configure
from program import Program, Result, Rig
from proxy import Fault, Proxy
from servers import HOST, Dovecot, Stack, crlf

SPAM = "spam@example.org"
# Each may be sent twice, so they must be such as rspamd knows again.
MAILS = [crlf(raw) for raw in corpus.short(corpus.spam(), 6)]


BOX = {SPAM: 'mailbox "INBOX" { class = spam }'}


class Http:
    """A rspamd behind a proxy, for Program.configure()."""

    def __init__(self, stack: Stack, proxy: Proxy) -> None:
        self.password = stack.rspamd.password
        self.url = f"http://{HOST}:{proxy.port}"


def anew(program: Program, name: str) -> Program:
    """The same with an empty ledger."""
    folder = program.folder / name
    folder.mkdir()
    return Program(folder)


class Link:
    """A Dovecot behind a proxy, for Program.configure()."""

    def __init__(self, dovecot: Dovecot, proxy: Proxy, tls: bool = False) -> None:
        self.passwords = dovecot.passwords
        self._url = f"imap{'s' if tls else ''}://localhost:{proxy.port}"

    def url(self, starttls: bool = False) -> str:
        return self._url


def given(rspamd: FakeController) -> list[bytes]:
    return [request.body for request in rspamd.learns]


def survive(stack: Stack, program: Program, rspamd: FakeController, fault: Fault,
            mailbox: str) -> Result:
    """With an empty ledger: a run with the fault, a look at the marks, a run without."""
    program = anew(program, mailbox)
    stack.dovecot.append_many(SPAM, mailbox, MAILS)
    box = f'mailbox "{mailbox}" {{ class = spam }}'
    with Proxy(stack.dovecot.port, fault, stack.dovecot._tls()) as proxy:
        configure(program, Link(stack.dovecot, proxy), rspamd, mailboxes=box,
                  account="timeout = 1s")
        first = program("learn")
        assert proxy.happened == fault.times, (fault, proxy.heard[False], first)
    learned = set(given(rspamd))
    raws = stack.dovecot.messages(SPAM, mailbox)
    assert list(raws.values()) == MAILS
    for uid, flags in stack.dovecot.flags(SPAM, mailbox).items():
        assert "$LearnedSpam" not in flags or raws[uid] in learned
    program.configure(Rig(rspamd, stack.dovecot, stack.authority), {SPAM: box})
    assert program("learn").rc == 0
    assert sorted(set(given(rspamd))) == sorted(MAILS)
    assert all(f & {"$LearnedSpam", "$LearnedHam", "$LearnSkipped"} == {"$LearnedSpam"}
               for f in stack.dovecot.flags(SPAM, mailbox).values())
    return first


# Of what the server says; the log-in is libcurl's, then our commands are L1 and so on.
SAID = {
    "greeting": Fault("cut", rb"\* OK"),
    "log-in": Fault("cut", rb"Logged in", before=True),
    "before CAPABILITY": Fault("cut", rb"L1 OK", before=True),
    "before SELECT": Fault("cut", rb"L2 OK", before=True),
    "after SELECT": Fault("cut", rb"L2 OK[^\n]*\n"),
    "before SEARCH": Fault("cut", rb"\* ESEARCH", before=True),
    "in SEARCH": Fault("cut", rb"\* ESEARCH \(TAG"),
    "after SEARCH": Fault("cut", rb"L3 OK[^\n]*\n"),
    "in metadata": Fault("cut", rb"INTERNALDATE"),
    "after metadata": Fault("cut", rb"L4 OK[^\n]*\n"),
    "in a literal's length": Fault("cut", rb"BODY\[\] \{\d"),
    "before a literal": Fault("cut", rb"BODY\[\] \{\d+\}\r\n"),
    "in a literal": Fault("cut", rb"BODY\[\] \{\d+\}\r\n", skip=100),
    "in the last literal": Fault("cut", rb"\* 6 FETCH \(UID 6 BODY\[\] \{\d+\}\r\n", skip=50),
    "between bodies": Fault("cut", rb"\* 3 FETCH \(UID 3 BODY", before=True),
    "before the end of FETCH": Fault("cut", rb"L5 OK", before=True),
    "after the end of FETCH": Fault("cut", rb"L5 OK[^\n]*\n"),
    "before STORE is done": Fault("cut", rb"L\d+ OK Store", before=True),
    "in the answer to STORE": Fault("cut", rb"OK St"),
}
# Before there was a session: the exit status then.
NEVER = {"greeting": 69, "log-in": 75, "before CAPABILITY": 75, "in CAPABILITY": 75}
# Of what we say.
ASKED = {
    "in CAPABILITY": Fault("cut", rb"L1 CAP", up=True),
    "before SELECT is heard": Fault("cut", rb"L2 SELECT[^\n]*", up=True),
    "in FETCH": Fault("cut", rb"L5 UID FETCH", up=True),
    "in STORE": Fault("cut", rb"UID STORE 1", up=True),
    "before STORE is heard": Fault("cut", rb"UID STORE[^\n]*", up=True),
    "after STORE is heard": Fault("cut", rb"UID STORE[^\n]*\n", up=True),
}



def test_imap_is_cut_once(stack: Stack, program: Program) -> None:
    """At each interesting place of the conversation, by FIN or by RST: the run connects again
    and does its work, with a warning and exit 0; a connection that never was is not tried
    again."""
    for number, (name, fault) in enumerate((SAID | ASKED).items()):
        fault = replace(fault, what="reset" if number % 2 else "cut")
        with FakeController() as rspamd:
            done = survive(stack, program, rspamd, fault, f"cut {number}")
            assert done.rc == NEVER.get(name, 0), (name, done)
            if name == "after the second STORE":  # there was nothing left to do
                assert done.err == ""
            else:
                assert done.err.count("\n") == 1 and f"account {SPAM}:" in done.err, (name, done)
                assert ("connecting again" in done.err) == (done.rc == 0)
            # What was settled before the cut was recorded then.
            assert len(given(rspamd)) == len(MAILS), name


@pytest.mark.parametrize("name", ["in a literal", "before STORE is done"])
def test_imap_is_always_cut(stack: Stack, program: Program, name: str) -> None:
    """A bounded number of new connections in one run, then exit 75 and everything recorded. Where
    it is always cut in a message, these are set aside and named, and the others are learned."""
    with FakeController() as rspamd:
        fault = replace((SAID | ASKED)[name], times=4)
        done = survive(stack, program, rspamd, fault, "always")
        if name == "in a literal":
            assert done.rc == 1 and done.out.count("the connection breaks at it") == 4, done
            return
        assert done.rc == 75 and done.err.count("connecting again") == 3, done
        assert len(given(rspamd)) == len(MAILS)


@pytest.mark.parametrize("name", ["greeting", "before SELECT", "in a literal",
                                  "before STORE is done"])
def test_imap_stalls(stack: Stack, program: Program, rspamd: FakeController, name: str) -> None:
    """Silence for longer than the account's timeout is a broken connection."""
    done = survive(stack, program, rspamd, replace(SAID[name], what="stall"), "stall")
    assert done.rc == NEVER.get(name, 0), done
    assert "1 seconds" in done.err or "imeout" in done.err or "timed out" in done.err, done


def test_imap_is_slow(stack: Stack, program: Program) -> None:
    """Delays shorter than the timeout, wherever they are, change nothing."""
    for number, name in enumerate(("greeting", "in a literal", "before STORE is done")):
        with FakeController() as rspamd:
            fault = replace(SAID[name], what="delay")
            done = survive(stack, program, rspamd, fault, f"slow {number}")
            assert (done.rc, done.err, len(rspamd.learns)) == (0, "", len(MAILS))


def test_imap_is_cut_anywhere(stack: Stack, program: Program) -> None:
    """The same by bytes: every 800th that comes from the server. Before the greeting is whole 69,
    before there is a session 75, and after that the run connects again."""
    size = sum(map(len, MAILS)) + 1200
    statuses = []
    for at in range(0, size, 800):
        with FakeController() as rspamd:
            done = survive(stack, program, rspamd, Fault("cut", at), f"at {at}")
            assert done.rc == 0 or "connecting again" not in done.err, (at, done)
            statuses.append(done.rc)
    assert is_in_order(statuses) and set(statuses) == {69, 75, 0}, statuses


def is_in_order(statuses: list[int]) -> bool:
    """The later it is cut, the more has been done."""
    return statuses == sorted(statuses, key=(69, 75, 0).index)


def test_tls_is_cut(stack: Stack, program: Program) -> None:
    """The same through TLS: in its handshake, in its records, and without its farewell."""
    statuses = []
    for at in (0, 100, 1500, 3000, 6000, 9000):
        box, fault = f"tls {at}", Fault("cut", at)
        boxes = {SPAM: f'mailbox "{box}" {{ class = spam }}'}
        stack.dovecot.append_many(SPAM, box, MAILS)
        program = anew(program, box)
        with FakeController() as rspamd, Proxy(stack.dovecot.port, fault) as proxy:
            program.configure(Rig(rspamd, Link(stack.dovecot, proxy, tls=True), stack.authority),
                              boxes)
            done = program("learn")
            assert proxy.happened == 1, (at, done)
            statuses.append(done.rc)
            program.configure(Rig(rspamd, stack.dovecot, stack.authority), boxes)
            assert program("learn").rc == 0 and sorted(given(rspamd)) == sorted(MAILS)
        assert all("$LearnedSpam" in f for f in stack.dovecot.flags(SPAM, box).values())
    assert statuses[:2] == [69, 69] and is_in_order(statuses), statuses


# ---- rspamd ----

# Of a learn, from either side; GET /stat, which comes first, matches none of these.
ANSWERED = [Fault("cut", rb"POST[^\n]*\n", up=True), Fault("cut", rb"message/rfc822", up=True),
            Fault("cut", rb"POST.*?\r\n\r\n", up=True),
            Fault("cut", rb"POST.*?\r\n\r\n", skip=200, up=True),
            Fault("cut", rb"HTTP/1.1 200 OK.*success", before=True, skip=3),
            Fault("cut", rb"HTTP/1.1 200 OK\r\n.{20}.*success", before=True, skip=20),
            Fault("cut", rb'\{"success'), Fault("cut", rb'\{"success":true\}')]


@pytest.mark.parametrize("what", ["cut", "reset", "stall", "delay"])
def test_rspamd_is_cut(stack: Stack, program: Program, what: str) -> None:
    """In the middle of what we send, before, in and behind its answer: the message is sent
    again, and each one is learned once by rspamd's own count, and marked."""
    faults = ANSWERED if what in ("cut", "reset") else [ANSWERED[3], ANSWERED[6]]
    for number, fault in enumerate(faults):
        stack.rspamd.forget()
        box = f"{what} {number}"
        stack.dovecot.append_many(SPAM, box, MAILS)
        program = anew(program, box)
        with Proxy(stack.rspamd.port, replace(fault, what=what)) as proxy:
            rig = Rig(Http(stack, proxy), stack.dovecot, stack.authority)
            program.configure(rig, {SPAM: f'mailbox "{box}" {{ class = spam }}'},
                              rspamd="timeout = 1s")
            done = program("learn")
            assert proxy.happened == 1 and (done.rc, done.err) == (0, ""), (fault, done)
        assert stack.rspamd.learns() == (6, 0), fault
        assert all("$LearnedSpam" in f for f in stack.dovecot.flags(SPAM, box).values())


def test_rspamd_is_always_cut(stack: Stack, program: Program) -> None:
    """Bounded tries, nothing marked although rspamd learned each message, exit 69 or 1; the
    next run learns nothing twice."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS)
    fault = Fault("reset", rb"HTTP/1.1 20\d.*(success|already)", before=True, times=1000)
    with Proxy(stack.rspamd.port, fault) as proxy:
        program.configure(Rig(Http(stack, proxy), stack.dovecot, stack.authority), BOX,
                          rspamd="tries = 2  connections = 2")
        done = program("learn")
        assert done.rc in (1, 69) and proxy.happened <= 2 * len(MAILS)
    assert not any("$LearnedSpam" in f for f in stack.dovecot.flags(SPAM).values())
    stack.rspamd.wait_quiet()  # it gave up with requests on their way
    program.configure(stack, BOX)
    done = program("learn", "--json")
    assert done.rc == 0 and stack.rspamd.learns() == (6, 0)
    assert all("$LearnedSpam" in f for f in stack.dovecot.flags(SPAM).values())
