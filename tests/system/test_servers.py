"""What real servers did that the program was not ready for (docs/servers.md), on the scripted one:
`make conformance` has the real ones."""

from __future__ import annotations

from typing import Any

import pytest

from fakes import CAPABILITIES, Cut, FakeController, FakeImap, Message, configure
from program import Program, Result

INBOX = "mailbox INBOX"
AT_ONCE = "retention { learned = 0s  skipped = 0s }\n"
MOVE = 'retention { learned = 0s  action = move "Archive" }\n'
DELETED = r"\Deleted"
NO_MOVE = CAPABILITIES.replace(" MOVE", "")


def mail(word: str) -> bytes:
    return (f"From: a@example.com\r\nSubject: offer\r\n\r\n"
            f"The words of {word} are not those of another one.\r\n").encode()


# Of the same size and second, so that only their UIDs tell them apart.
FOUR = [mail(word) for word in ("ant", "bee", "cat", "dog")]


def learned(program: Program, imap: FakeImap, rspamd: FakeController, top: str) -> None:
    """Everything is learned and marked; then this is the policy."""
    configure(program, imap, rspamd)
    assert program("learn").rc == 0
    configure(program, imap, rspamd, top=top)


def all_moved(program: Program, imap: FakeImap, wanted: list[bytes], runs: int = 2) -> None:
    """In the end each is in the archive, once, and stays so."""
    for _ in range(runs):
        program("expire")
    assert imap.messages == {} and sorted(imap.archive) == sorted(wanted)
    assert program("expire").rc == 0 and sorted(imap.archive) == sorted(wanted)


# ---- cut short between COPY and EXPUNGE ----

class CutShort(FakeImap):
    """The connection ends at the first of these commands, when so many messages of it are done."""

    def __init__(self, command: str, done: int, **how: Any) -> None:
        self.command, self.done = command, done
        super().__init__(FOUR, capabilities=NO_MOVE, **how)

    def _partly(self, command: str, do: Any, rest: str) -> bytes:
        if self.command != command:
            return do(rest)  # type: ignore[no-any-return]
        self.command = ""
        uids, space, more = rest.partition(" ")
        some = self._in_set(uids)[:self.done]
        if some:
            do(",".join(map(str, some)) + space + more)
        raise Cut(reset=True)

    def _do_uid_copy(self, rest: str) -> bytes:
        return self._partly("UID COPY", super()._do_uid_copy, rest)

    def _do_uid_store(self, rest: str) -> bytes:
        if DELETED not in rest:
            return super()._do_uid_store(rest)
        return self._partly("UID STORE", super()._do_uid_store, rest)

    def _do_uid_expunge(self, rest: str) -> bytes:
        return self._partly("UID EXPUNGE", super()._do_uid_expunge, rest)


@pytest.mark.parametrize("done", [0, 1, 3, 4])
@pytest.mark.parametrize("command", ["UID COPY", "UID STORE", "UID EXPUNGE"])
def test_a_copy_that_was_cut_short_is_not_made_again(
        program: Program, rspamd: FakeController, command: str, done: int) -> None:
    """Without MOVE: whatever part of it was done, and whether its answer came or not, each message
    is in the archive once. What looked the same and was there before counts for nothing."""
    with CutShort(command, done) as imap:
        imap.moved[1] = Message(FOUR[1])
        learned(program, imap, rspamd, MOVE)
        all_moved(program, imap, [*FOUR, FOUR[1]])
        assert imap.command == ""


def test_a_copy_without_uidnext(program: Program, rspamd: FakeController) -> None:
    """Where nothing says what is new in the archive, \\Deleted still says what was copied."""
    with CutShort("UID EXPUNGE", 1) as imap:
        imap.lies["STATUS"] = lambda honest: honest.replace(b"UIDNEXT", b"XIDNEXT")
        learned(program, imap, rspamd, MOVE)
        all_moved(program, imap, FOUR)


def test_what_is_in_both_places_and_flagged_stays(program: Program, rspamd: FakeController) -> None:
    """Somebody wants one of them before the next run: it is not deleted, nor copied again."""
    with CutShort("UID COPY", 4) as imap:
        imap.lies["EXAMINE"] = lambda honest: b"* BYE later\r\n"
        learned(program, imap, rspamd, MOVE)
        program("expire")
        imap.lies.clear()
        imap.messages[2].flags.add(r"\Flagged")
        assert program("expire").rc == 0
        assert list(imap.messages) == [2] and sorted(imap.archive) == sorted(FOUR)
        imap.messages[2].flags.discard(r"\Flagged")
        all_moved(program, imap, FOUR)


# ---- somebody else expunges in between ----

class Quicker(FakeImap):
    """Another client expunges a message just before the first of these commands, which is refused
    for that, and moves nothing."""

    def __init__(self, command: str, gone: int, capabilities: str = CAPABILITIES,
                 times: int = 1) -> None:
        self.command, self.gone, self.times = command, gone, times
        super().__init__(FOUR, capabilities=capabilities)

    def _answer(self, verb: str, rest: str) -> bytes | None:
        if verb != self.command or self.times == 0:
            return super()._answer(verb, rest)
        self.times -= 1
        self.commands.append(f"{verb} {rest}")
        self.messages.pop(self.gone, None)
        self.gone += 1
        return None


@pytest.mark.parametrize("command, capabilities", [
    ("UID MOVE", CAPABILITIES), ("UID COPY", NO_MOVE), ("UID STORE", NO_MOVE)])
def test_expunged_before_it_is_moved(program: Program, rspamd: FakeController, command: str,
                                     capabilities: str) -> None:
    """Dovecot and mox refuse the whole command: once more, with those that are left."""
    with Quicker(command, 2, capabilities, times=0) as imap:
        learned(program, imap, rspamd, MOVE)
        imap.times = 1
        assert program("expire").rc == 0 and imap.messages == {}
        left = [FOUR[0], FOUR[2], FOUR[3]]
        assert sorted(imap.archive) == sorted(FOUR if command == "UID STORE" else left)


def test_expunged_again_and_again(program: Program, rspamd: FakeController) -> None:
    """A second refusal is for the next run (75)."""
    with Quicker("UID MOVE", 1, times=0) as imap:
        learned(program, imap, rspamd, MOVE)
        imap.times = 2
        done = program("expire")
        assert done.rc == 75 and imap.count("UID MOVE") == 2
        all_moved(program, imap, FOUR[2:], 1)


def test_refused_for_another_reason(program: Program, rspamd: FakeController) -> None:
    """Nothing is gone: it is not tried again, and the error says what, where and why."""
    with Quicker("UID MOVE", 99, times=0) as imap:
        learned(program, imap, rspamd, MOVE)
        imap.times = 1
        done = program("expire")
        assert done.rc == 69 and imap.count("UID MOVE") == 1
        named(done, "UID MOVE refused: [NONEXISTENT] no such thing")
        assert len(imap.messages) == 4 and imap.archive == []


def test_expunged_before_it_is_marked(program: Program, rspamd: FakeController) -> None:
    """The others get their marks; the mailbox is not taken for one that can hold none."""
    with Quicker("UID STORE", 2) as imap:
        configure(program, imap, rspamd)
        done = program("learn")
        assert (done.rc, done.err) == (0, "")
        assert set(imap.messages) == {1, 3, 4}
        assert all(flags == {"$LearnedSpam"} for flags in imap.flags().values())


def named(done: Result, words: str) -> None:
    """On one line: account, mailbox, and this."""
    lines = [line for line in (done.err + done.out).splitlines()
             if "spam@example.org" in line and INBOX in line]
    assert any(words in line for line in lines), (done.err, done.out)


# ---- UIDs that are gone ----

class Strict(FakeImap):
    """UID FETCH of a message that is not there is an error, as on James."""

    def _do_uid_fetch(self, rest: str) -> bytes | None:  # type: ignore[override]
        for part in rest.partition(" ")[0].split(","):
            first, _, last = part.partition(":")
            if last != "*" and set(range(int(first), int(last or first) + 1)) - set(self.selected):
                return None
        return super()._do_uid_fetch(rest)


@pytest.mark.parametrize("left", [0, 1])
def test_a_server_that_refuses_uids_that_are_gone(program: Program, rspamd: FakeController,
                                                  left: int) -> None:
    """What is asked again is only what is there."""
    with Strict(FOUR) as imap:
        learned(program, imap, rspamd, AT_ONCE)
        for uid in range(1, left + 1):
            imap.messages[uid].flags.add(r"\Flagged")
        del imap.messages[3]
        done = program("expire")
        assert (done.rc, done.err, len(imap.messages)) == (0, "", left)


# ---- rights ----

def see_alike(program: Program, imap: FakeImap, words: str) -> None:
    """check, the dry run and expire agree: 78, and why; the mail is as it was."""
    before = imap.flags()
    for command in (["check"], ["expire", "--dry-run"], ["expire"]):
        done = program(*command)
        assert done.rc == 78, (command, done)
        named(done, words)
    assert imap.flags() == before and imap.archive == []


def permanent(flags: bytes, recent: int = 0) -> dict[str, Any]:
    """SELECT says which flags stay, EXAMINE none."""
    def say(these: bytes) -> Any:
        return lambda honest: honest.replace(rb"(\Deleted \Seen \*)", these).replace(
            b"* 0 RECENT", b"* %d RECENT" % recent)
    return {"SELECT": say(flags), "EXAMINE": say(b"()")}


def test_no_right_to_delete_by_permanentflags(program: Program, rspamd: FakeController) -> None:
    """Only SELECT shows it. It would take \\Recent away, so it is asked only where nothing is
    that."""
    with FakeImap(FOUR) as imap:
        learned(program, imap, rspamd, AT_ONCE)
        imap.lies = permanent(rb"(\Seen \*)")
        see_alike(program, imap, "no right to delete")
        imap.lies = permanent(rb"(\Seen \*)", recent=1)
        imap.commands.clear()
        assert program("check").rc == 0 and program("expire", "--dry-run").rc == 0
        assert imap.count("SELECT") == 0
        imap.lies = permanent(rb"(\Seen \Deleted)")
        assert program("check").rc == 0 and program("expire", "--dry-run").rc == 0
        assert program("expire").rc == 0 and imap.messages == {}


class Acl(FakeImap):
    def __init__(self, mails: list[bytes], **rights: str) -> None:
        self.rights = rights
        super().__init__(mails, capabilities=CAPABILITIES + " ACL")

    def _do_myrights(self, rest: str) -> bytes:
        rights = self.rights.get(rest.strip('"'), "lrswipted")
        return f"* MYRIGHTS {rest} {rights}\r\n".encode()


def test_no_right_to_put_mail_there(program: Program, rspamd: FakeController) -> None:
    """The mailbox that mail moves to may only be read."""
    with Acl(FOUR, Archive="lrs") as imap:
        learned(program, imap, rspamd, MOVE)
        for command in (["check"], ["expire", "--dry-run"], ["expire"]):
            done = program(*command)
            assert done.rc == 78, (command, done)
            named(done, "no right to move mail to")
        assert imap.count("UID MOVE") == 0
        imap.rights.clear()
        all_moved(program, imap, FOUR)


@pytest.mark.parametrize("rights", ["lrsw", "lrswt", "lrswe"])
def test_no_right_to_delete_by_acl(program: Program, rspamd: FakeController, rights: str) -> None:
    with Acl(FOUR, INBOX=rights) as imap:
        learned(program, imap, rspamd, AT_ONCE)
        for command in (["check"], ["expire", "--dry-run"]):
            done = program(*command)
            assert done.rc == 78, (command, done)
            named(done, "no right to delete")


# ---- what is not the message ----

PLACEHOLDER = (b"From: System Administrator <root@localhost>\r\n"
               b"Subject: message unavailable\r\n\r\n"
               b"This message is no longer available on the server.\r\n")


def test_couriers_placeholder_is_no_mail(program: Program, rspamd: FakeController) -> None:
    """Also where its size is said to be that of the message: it is not settled, does not expire,
    and what can be read again is learned."""
    with FakeImap([*FOUR[:2], PLACEHOLDER]) as imap:
        configure(program, imap, rspamd, top=AT_ONCE)
        for _ in range(2):
            assert program("run").rc == 1 and list(imap.messages) == [3]
        assert {request.body for request in rspamd.learns} == set(FOUR[:2])
        imap.messages[3] = Message(FOUR[2])
        assert program("run").rc == 0
        assert [request.body for request in rspamd.learns][2:] == [FOUR[2]]


# ---- without UIDPLUS ----

def test_without_uidplus_others_deletions_are_in_the_way(program: Program,
                                                         rspamd: FakeController) -> None:
    """Nothing of ours is marked \\Deleted before an EXPUNGE would take only that; and once nothing
    is in the way it goes."""
    poor = CAPABILITIES.replace(" UIDPLUS", "").replace(" MOVE", "")
    with FakeImap([*FOUR, mail("emu")], capabilities=poor) as imap:
        learned(program, imap, rspamd, AT_ONCE)
        assert program("expire").rc == 78
        assert not any(DELETED in flags for flags in imap.flags().values())
        configure(program, imap, rspamd, top=AT_ONCE.replace("}", "without-uidplus = true }"))
        imap.messages[5].flags.add(DELETED)
        assert program("expire").rc == 75
        assert [uid for uid, flags in imap.flags().items() if DELETED in flags] == [5]
        imap.messages[5].flags.discard(DELETED)
        assert program("expire").rc == 0 and imap.messages == {}
