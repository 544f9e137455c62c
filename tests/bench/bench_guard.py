#!/usr/bin/python3
"""What a first training is worth with rspamd's "already sure" guard, and without it.

Trains a fresh rspamd with the same mail in both ways (learn --class, with and without --guard),
spam first as most people have it, and has it judge mail that it was not trained with. Prints a
table and judges nothing.

    tests/bench/bench_guard.py --mail DIR    # DIR/spam, DIR/ham, a file a message

Without --mail it takes the sample of tests/corpus, which is small: rspamd then begins to judge at
50 of each class instead of 200.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True

from measure import table  # noqa: E402

import corpus  # noqa: E402
from bench_learn import folder  # noqa: E402
from program import Program, secret_file  # noqa: E402
from servers import Redis, Rspamd, temporary_folder  # noqa: E402

HEAD = ("learn --class", "spam learned", "ham learned", "spam found", "ham taken for spam")


def write(place: Path, raws: list[bytes]) -> Path:
    place.mkdir(parents=True)
    for number, raw in enumerate(raws):
        (place / f"{number:06}.eml").write_bytes(raw)
    return place


def is_bayes_spam(answer: dict[str, Any]) -> bool:
    return "BAYES_SPAM" in answer["symbols"]


def train(program: Program, rspamd: Rspamd, files: dict[str, Path], held: dict[str, list[bytes]],
          words: tuple[str, ...]) -> tuple[str, ...]:
    rspamd.forget()
    shutil.rmtree(program.ledger)
    program.ledger.mkdir(mode=0o700)
    for kind in ("spam", "ham"):
        done = program("learn", "--class", kind, files[kind], *words, timeout=3600)
        if done.rc != 0:
            raise SystemExit(done.err)
    learned = rspamd.learns()
    found = {kind: sum(is_bayes_spam(rspamd.scan(raw)) for raw in held[kind]) for kind in held}
    return (" ".join(("", *words)).strip() or "(no guard)",
            *(f"{n} of {len(list(files[kind].iterdir()))}"
              for n, kind in zip(learned, ("spam", "ham"))),
            *(f"{found[kind]} of {len(held[kind])}" for kind in ("spam", "ham")))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--mail", type=Path, help="a folder with spam/ and ham/")
    wanted = options.parse_args()
    mails = folder(wanted.mail) if wanted.mail else {"spam": corpus.spam(), "ham": corpus.ham()}
    held = {kind: raws[::5] for kind, raws in mails.items()}
    taught = {kind: [raw for n, raw in enumerate(raws) if n % 5] for kind, raws in mails.items()}
    begin = 200 if min(map(len, taught.values())) >= 400 else 50
    place = temporary_folder()
    try:
        with (tempfile.TemporaryDirectory() as scratch, Redis(place) as redis,
              Rspamd(place, redis,
                     local={"classifier-bayes.conf": f'servers = "127.0.0.1:{redis.port}";\n'
                                                     f"min_learns = {begin};\n"}) as rspamd):
            program = Program(Path(scratch))
            files = {kind: write(Path(scratch) / kind, raws) for kind, raws in taught.items()}
            password = secret_file(Path(scratch) / "rspamd.password", rspamd.password + "\n")
            secret_file(program.config,
                        f'rspamd {{ url = "{rspamd.url}"  password-file = "{password}" }}\n'
                        f'ledger = "{program.ledger}"\n'
                        f'spool "{scratch}/spool" {{ }}\n')
            rows = [train(program, rspamd, files, held, words) for words in (("--guard",), ())]
            table(HEAD, rows)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
