"""Takes one fix out at a time, builds the simulator with it, and counts how many histories it takes
until a check fails. Prints a table; ends with 1 where a fix can be taken out unnoticed.

    tests/sim/regressions/run.py [--seeds N] [NAME ...]
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# Name, what comes back without the fix, and the edits that take it out: file or folder, text,
# replacement.
# Blanks and line ends in the text stand for any.
REGRESSIONS: list[tuple[str, str, list[tuple[str, str, str]]]] = [
    ("A1", "failed is what was never judged, and expires", [
        ("src/learn/retain.c", "return r->outcome == OUTCOME_FAILED ? p->failed",
         "return outcome_group(r->outcome) == GROUP_FAILED ? p->failed"),
        ("src/learn/retain.c", "r->state == STATE_PENDING && r->outcome == OUTCOME_FAILED",
         "r->state == STATE_PENDING && outcome_group(r->outcome) == GROUP_FAILED"),
        ("src/ledger/ledger.c", "r->state == STATE_PENDING && r->outcome == OUTCOME_FAILED",
         "r->state == STATE_PENDING && outcome_group(r->outcome) == GROUP_FAILED"),
        ("src/learn/expire.c", "r->bare || r->outcome == OUTCOME_FAILED",
         "r->bare || outcome_group(r->outcome) == GROUP_FAILED"),
    ]),
    ("A2", "too few reporters once is a verdict for ever", [
        ("src/ledger/ledger.c", "outcome == OUTCOME_OVERRULED || outcome == OUTCOME_UNCONFIRMED",
         "outcome == OUTCOME_OVERRULED"),
        ("src/ledger/record.c",
         "if (r->outcome == OUTCOME_UNCONFIRMED) r->outcome = OUTCOME_NONE;", ""),
    ]),
    ("A5, high marks", "UIDNEXT and HIGHESTMODSEQ are recorded at the end of a run only, and "
     "nothing is compared", [
         ("src/learn/box.c",
          "if (s->next <= box->high_next && s->version <= box->high_version) return 0;",
          "return 0;"),
         ("src/learn/compare.c", "if (rc != 1 || compare_is_same(&r, sight))", "if (1)"),
     ]),
    ("A5, expire", "expire takes the number for the message", [
        ("src/learn/expire.c",
         "return compare_is_same(r, sight) && (sight->marks != 0 || unmarked);",
         "return unmarked || sight->id > 0;"),
    ]),
    ("A6", "a mark is believed although the ledger is intact", [
        ("src/learn", ".believe_marks = is_new && !p->in.box.whole &&",
         ".believe_marks = is_new &&"),
        ("src/learn", "p->in.with.believe_marks,", "true,"),
    ]),
    ("A9", "a message that breaks the connection is forgotten with the run", [
        ("src/learn", "if (id == 0) return 0; p->in.steps++;", "if (id != 0) return 0;"),
    ]),
    ("A10", "the later run wins, not the later report", [
        ("src/ledger/ledger.c",
         "return verdict_at < known->verdict_at ? OUTCOME_OVERRULED : OUTCOME_NONE;",
         "return verdict_at < 0 ? OUTCOME_OVERRULED : OUTCOME_NONE;"),
    ]),
    # What the simulator found itself.
    ("S1", "a flip whose answer was lost is not asked about again", [
        ("src/ledger/ledger.c", "d.in_doubt = true;", "d.in_doubt = false;"),
    ]),
    ("S2", "what was recorded of a message sticks to the next one of its number", [
        ("src/learn/intake.c", "if (rc != 1 || m->stamp.size == 0 ||",
         "if (rc != -1 || m->stamp.size == 0 ||"),
    ]),
    ("S3", "a message omitted twice is never looked at again", [
        ("src/learn/intake.c",
         "return intake_settle(in, c, NULL, OUTCOME_UNREADABLE, listed_only, e);",
         "{ decided(in, c, OUTCOME_NONE, NULL); "
         "return ledger_message_del(in->with.ledger, c->box, c->id, e); }"),
    ]),
    ("S4", "records of messages that left hide new ones", [
        ("src/learn", "fewer ? &b->known : &waits", "fewer ? &waits : &waits"),
    ]),
    ("S5", "a report that the connection broke at gets the time of the run", [
        ("src/learn/intake.c",
         "if (stamp->size == 0 && stamp->date == 0)",
         "if (stamp->size == 1 && stamp->date == 1)"),
    ]),
    ("S6", "a lost answer lets a run remove more than max-per-run", [
        ("src/learn/expire.c", "p->x->left -= (int64_t)ranges_count(set);", ""),
        ("src/learn/expire.c", "p->tally.expired[outcome_group(r.outcome)]++;",
         "p->tally.expired[outcome_group(r.outcome)]++; p->x->left--;"),
    ]),
    ("S7", "a mark is believed of a message that was submitted", [
        ("src/learn", ".believe_marks = is_new && !p->in.box.whole &&",
         ".believe_marks = !p->in.box.whole &&"),
    ]),
    ("S8", "a hollow answer is believed after rspamd broke the connection", [
        ("src/learn/backend.c", "&& b->failures == b->rspamd->failures)", ")"),
    ]),
    ("spool", "who reports is whom the message names, not whose file it is", [
        ("src/learn/message.c", "who = m->reporter[0] ? m->reporter", "who = 0 ? m->reporter"),
    ]),
    # What watch decides.
    ("W1", "news make no run", [
        ("src/learn/watch.c", "if (rc == 1) a->due = a->told = true;", ""),
    ]),
    ("W2", "news while a run goes on are lost", [
        ("src/learn/watch.c", "a->due = a->due || end->more;", "a->due = end->more;"),
    ]),
    ("W3", "what a slice leaves waits", [
        ("src/learn/watch.c", "a->due = a->due || end->more;", ""),
    ]),
    ("W4", "a failed run is not made again", [
        ("src/learn/watch.c", "a->due = true; a->expire = a->expire || w->run_expires;",
         "a->expire = a->expire || w->run_expires;"),
    ]),
    ("W5", "what rspamd did not answer is not tried again", [
        ("src/learn/watch.c", "trouble_begin(&w->trouble, &e); a->due = true;", ""),
    ]),
    ("W6", "nothing waits after a failure", [
        ("src/learn/watch.c", "return clock_ms() + backoff_ms(failures, dice(w), first, max);",
         "return clock_ms() + 0 * backoff_ms(failures, dice(w), first, max);"),
    ]),
    ("W7", "a wrong password is tried like anything else", [
        ("src/learn/watch.c", "return e->kind == ERR_AUTH ?",
         "return e->kind == ERR_OK ?"),
    ]),
    ("W8", "news that are none do not slow it down", [
        ("src/learn/watch.c", "a->in_vain > IN_VAIN", "a->in_vain > 1000000"),
    ]),
    ("W9", "nothing is looked at by time", [
        ("src/learn/watch.c", "if (a->look_at <= now) { a->due = true;",
         "if (a->look_at <= now) {"),
    ]),
    ("W10", "a file that was only begun is not looked at again", [
        ("src/learn/watch.c", "if (a->account->ops->whole_ms > 0)", "if (0)"),
    ]),
    ("W11", "an idler that ended is not started again", [
        ("src/learn/watch.c", "a->start_at = account_again_at(w, ++a->deaths, e);",
         "a->start_at = account_again_at(w, ++a->deaths, e) ? INT64_MAX : 0;"),
    ]),
    ("W12", "an account has two idlers", [
        ("src/learn/watch.c", "if (a->idler.pid != 0) continue;", ""),
    ]),
    ("W13", "two runs at once", [
        ("src/learn/watch.c", "if (w->runner.pid == 0 && w->run_at", "if (w->run_at"),
    ]),
    ("W14", "a run that hangs holds up the others", [
        ("src/learn/watch.c", "runner_stop(&w->runner); return", "return"),
    ]),
    ("W15", "a run that hangs is looked at only at the next turn", [
        ("src/learn/watch.c", "begin_run(w, i); if (w->runner.pid != 0)",
         "{ begin_run(w, i); return next; } if (w->runner.pid != 0)"),
    ]),
    ("W16", "a run that does not stop is not killed", [
        ("src/learn/runner.c", "process_signal(r->pid, SIGKILL);", ";"),
    ]),
    ("W17", "a signal waits for a run that hangs", [
        ("src/learn/runner.c", "runner_stop(r); clock_pause(STEP_MS);", "clock_pause(STEP_MS);"),
    ]),
    ("W18", "one account always comes first", [
        ("src/learn/watch.c", "size_t i = (w->at + k) % w->n;", "size_t i = k - 1;"),
    ]),
    ("W19", "a run that needs no disk ends the waiting for the disk", [
        ("src/learn/watch.c", "if (w->of[i].unserved && can_run(&w->of[i])) return;", ""),
    ]),
    ("W20", "a failed run has expired, too", [
        ("src/learn/watch.c", "a->expire = a->expire || w->run_expires;", ""),
    ]),
    ("W21", "a day is recorded as expired when it begins", [
        ("src/learn/watch.c", "if (w->of[i].expire) return;", ""),
    ]),
    ("W22", "it is not known that a day was expired", [
        ("src/learn/watch.c", "w->expired_at = clock_now(); w->recorded = false;",
         "w->recorded = false;"),
    ]),
    ("W23", "each start begins the day anew", [
        ("src/learn/watch.c",
         "w->recorded = expired_at_read(w->conf->ledger, &w->expired_at);", ""),
    ]),
    ("W24", "a bad configuration takes over", [
        ("src/command/cmd_watch.c", "not reloaded, the old configuration stays: %s\", e.text);",
         "%s\", e.text); stop_request(15);"),
    ]),
    ("W25", "SIGUSR1 is not heard", [
        ("src/learn/watch.c", "w->of[i].due = true; w->of[i].run_at",
         "w->of[i].run_at"),
    ]),
    ("W26", "idlers are not waited for", [
        ("src/learn/watch.c", "if (w->of[i].idler.fd != -1)", "if (0)"),
    ]),
    ("W27", "to be ready is no news", [
        ("src/source/idler.c", "news = news || !i->failing;", "news = news || data[at] == NEWS;"),
    ]),
    ("W28", "a folder's news are another account's", [
        ("src/learn/folders.c", "t->folders->owner[folder]", "t->folders->owner[0 * folder]"),
    ]),
    ("W29", "a folder watch that was refused is not tried again", [
        ("src/learn/folders.c", "f->open_at = clock_ms() + AGAIN_MS;", "f->open_at = INT64_MAX;"),
    ]),
    ("W30", "a run that was killed has done its work", [
        ("src/learn/runner.c", "*end = r->facts->end; if (r->facts->done) return;",
         "*end = r->facts->end; return;"),
    ]),
    ("W31", "accounts that cannot be reached are run all the same", [
        ("src/learn/watch.c", "return a->due && (!is_listened_to(a) || a->idler.ready);",
         "return a->due;"),
    ]),
    ("W32", "what is held is not polled", [
        ("src/learn/watch.c", "is_told && !held", "is_told || held"),
    ]),
    ("W33", "waits grow without end", [
        ("src/base/backoff.c",
         "whole < max_ms) whole = whole > max_ms / 2 ? max_ms : whole * 2;",
         "whole < INT64_MAX / 4) whole = max_ms ? whole * 2 : 0;"),
    ]),
    ("W34", "no day comes to be expired", [
        ("src/base/daily.c", "return today > done || done > today + 1;",
         "return done > today + 1;"),
    ]),
    # A Stalwart's samples.
    ("stalwart, order", "of a user's decisions the one that was met last counts, not the one that "
     "is listed last", [
         ("src/source/stalwart_walk.c", "return i < f->behind;", "return 0;"),
     ]),
    ("stalwart, permission", "a message that may not be read is taken for one that is gone", [
        ("src/source/source_stalwart.c", "if (may == 0) return cannot_read(a, e);",
         "if (may == 0) return give_up(a, number, e) == -1 ? -1 : 1;"),
    ]),
    ("stalwart, daily", "one that came late is hidden by one that vanished", [
        ("src/source/stalwart_walk.c", "|| (due && !whole)", ""),
    ]),
    ("stalwart, older", "the last decision is destroyed alone, and an older one counts again", [
        ("src/source/source_stalwart.c", "while (rc == 1 && s.older != 0)",
         "while (rc == 1 && s.older == number)"),
    ]),
    # The rules of docs/design.md themselves.
    ("rule 1", "removed before \"purging\" is on disk", [
        ("src/learn/expire.c", "if (rc == 0) rc = ledger_commit(p->x->ledger, e);", ""),
    ]),
    ("rule 3", "sent before \"submitted\" is on disk", [
        ("src/learn/intake.c",
         "return intake_commit(in, e) == -1 ? -1 : flight_send(in->flight, e);",
         "return flight_send(in->flight, e);"),
    ]),
    ("rule 4", "a dry run commits", [
        ("src/ledger/ledger.c", "if (l->mode != LEDGER_WRITE || !l->dirty)", "if (!l->dirty)"),
    ]),
]


def edit(tree: Path, where: str, text: str, replacement: str) -> None:
    """where: a file, or a folder with one file that has the text."""
    path = tree / where
    pattern = r"\s+".join(re.escape(word) for word in text.split())
    for file in sorted(path.glob("*.c")) if path.is_dir() else [path]:
        changed, n = re.subn(pattern, lambda _: replacement, file.read_text(), count=1)
        if n > 0:
            file.write_text(changed)
            return
    raise SystemExit(f"{where}: {text!r} is not there any more; bring this list up to date")


def build(tree: Path) -> Path:
    subprocess.run(["make", "-s", "-j2", "build/sim/sim"], cwd=tree, check=True)
    return tree / "build/sim/sim"


def found_after(sim: Path, seeds: int) -> tuple[int, str] | None:
    """How many histories it took, and which check failed."""
    result = subprocess.run([sim, f"1:{seeds}"], capture_output=True, text=True, check=False)
    found = re.search(r"^seed (\d+): (.*)$", result.stdout, re.MULTILINE)
    return (int(found[1]), found[2]) if found else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100000)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    unnoticed = 0
    print("| | Without the fix | Found after | Which check |\n|---|---|---|---|")
    for name, what, edits in REGRESSIONS:
        if options.names and name not in options.names:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            tree = Path(scratch) / "tree"
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", "build", "system"))
            for one in edits:
                edit(tree, *one)
            found = found_after(build(tree), options.seeds)
        unnoticed += found is None
        print(f"| {name} | {what} | {found[0] if found else 'never'} | "
              f"{found[1] if found else ''} |", flush=True)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
