"""make conformance: everything in checks.py and kills.py on each server in imapd/, and the table
of it. SERVERS="cyrus mox" selects."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

import install  # noqa: E402
import servers  # noqa: E402
from backend import Backend  # noqa: E402
from checks import CHECKS  # noqa: E402
import kills  # noqa: E402,F401  (its rows come last)
from client import Refused  # noqa: E402
from program import ROOT, binary  # noqa: E402
from servers import Authority, Redis, Rspamd, ServerError, temporary_folder  # noqa: E402
from trial import Failed, ServerFault, Skip, Trial  # noqa: E402

servers.READY_SECONDS = 300  # Java servers on a busy machine take their time

SERVERS = ("dovecot", "cyrus", "courier", "mox", "maddy", "greenmail", "james", "pymap")
RESULTS = install.CACHE / "results"
PLACE = ROOT / "docs" / "servers.md"
BEGIN, END = "<!-- make conformance: begin -->\n", "<!-- make conformance: end -->\n"


@dataclass
class Cell:
    """What became of one thing on one server."""

    word: str  # "ok", "FAIL", "skip" or "server"
    text: list[str] = field(default_factory=list)  # failures, or the reason
    notes: list[str] = field(default_factory=list)
    seconds: float = 0


@dataclass
class Column:
    name: str
    title: str
    version: str = ""
    source: str = ""
    missing: str = ""  # why it could not be had
    day: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)


def backend(name: str) -> type[Backend]:
    module = importlib.import_module(f"imapd.{name}")
    return next(thing for thing in vars(module).values()
                if isinstance(thing, type) and issubclass(thing, Backend)
                and thing.__module__ == module.__name__)


def tell(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


def attempt(check: object, server: Backend, rspamd: Rspamd) -> Cell:
    """One cell. Whatever is not understood is a failure."""
    started = time.monotonic()
    t = Trial(server, rspamd)
    cell = Cell("ok")
    try:
        check(t)  # type: ignore[operator]
    except Skip as reason:
        cell = Cell("skip", [str(reason)])
    except ServerFault as fault:
        cell = Cell("server", [str(fault)])
    except Failed:
        pass
    except (Refused, ServerError, OSError, subprocess.TimeoutExpired) as error:
        t.failures.append(f"{type(error).__name__}: {error}")
        if os.environ.get("TRACE"):
            traceback.print_exc()
    except Exception:
        t.failures.append(traceback.format_exc(limit=-2).strip())
    finally:
        t.close()
    if t.failures:
        cell = Cell("FAIL", t.failures)
    cell.notes = t.notes
    cell.seconds = round(time.monotonic() - started, 1)
    return cell


def try_server(name: str, only: str) -> Column:
    kind = backend(name)
    column = Column(name, kind.title, day=time.strftime("%Y-%m-%d"))
    tell(f"{kind.title}: getting it")
    try:
        kind.install()
    except install.Unavailable as reason:
        column.missing = str(reason)
        tell(f"{kind.title}: skipped: {reason}")
        return column
    column.version, column.source = kind.version, kind.source
    folder = temporary_folder()
    authority = Authority(folder)
    redis = Redis(folder)
    rspamd, server = Rspamd(folder, redis), kind(folder, authority)
    try:
        for each in (redis, rspamd, server):
            each.start()
        for row, check in CHECKS:
            if only and not re.search(only, row):
                continue
            tell(f"{kind.title}: {row}: ", end="")
            cell = column.cells[row] = attempt(check, server, rspamd)
            tell(f"{cell.word} ({cell.seconds} s)" + "".join(f"\n    {x}" for x in cell.text)
                 + "".join(f"\n    note: {x}" for x in cell.notes))
            if not server.running:
                tell(f"{kind.title}: it has ended: {server.log_tail()}")
                server.start()
    except (ServerError, OSError, subprocess.SubprocessError) as error:
        column.missing = f"it does not start: {str(error).splitlines()[0]}"
        tell(str(error))
    finally:
        for each in (server, rspamd, redis):
            each.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return column


# ---- the table ----

def rows(columns: list[Column]) -> list[str]:
    return [row for row, _ in CHECKS if any(row in column.cells for column in columns)]


def text_table(columns: list[Column]) -> str:
    columns = [column for column in columns if column.cells]
    wide = max(map(len, rows(columns)), default=0)
    lines = [" " * wide + "".join(f"  {column.title:9}" for column in columns)]
    for row in rows(columns):
        words = (column.cells[row].word if row in column.cells else "" for column in columns)
        lines.append(f"{row:{wide}}" + "".join(f"  {word:9}" for word in words))
    return "\n".join(line.rstrip() for line in lines)


def markdown(columns: list[Column]) -> str:
    had = [column for column in columns if column.cells]
    lines = ["| | " + " | ".join(f"{c.title}" for c in had) + " |", "|---" * (len(had) + 1) + "|",
             "| version | " + " | ".join(f"{c.version} ({c.source})" for c in had) + " |"]
    for row in rows(had):
        words = []
        for column in had:
            cell = column.cells.get(row)
            words.append("" if cell is None else f"**{cell.word}**" if cell.word == "FAIL"
                         else f"skip: {cell.text[0]}" if cell.word == "skip" else cell.word)
        lines.append(f"| {row} | " + " | ".join(word.replace("|", "\\|") for word in words) + " |")
    lines.append("")
    for column in columns:
        if column.missing:
            lines.append(f"{column.title} was not tried: {column.missing}.")
    return "\n".join(lines) + "\n" + details(columns, "- ", 1)


def details(columns: list[Column], bullet: str, most: int = 1000) -> str:
    """Why, below the table; of each cell so many reasons at most."""
    lines = []
    for column in columns:
        for row, cell in column.cells.items():
            if cell.word in ("FAIL", "server"):
                lines += [f"{bullet}{column.title}, {row}: {' / '.join(text.splitlines())}"
                          for text in cell.text[:most]]
    return "\n".join(lines) + "\n" if lines else ""


def store(column: Column, only: str) -> None:
    """Where only some rows were tried, the others stay as they were."""
    if only and column.missing:
        return
    if only:
        cells = {row: cell for old in stored() if old.name == column.name
                 for row, cell in old.cells.items()}
        column = replace(column, cells=cells | column.cells)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{column.name}.json").write_text(json.dumps(asdict(column), indent=1))


def stored() -> list[Column]:
    found = []
    for name in SERVERS:
        path = RESULTS / f"{name}.json"
        if path.exists():
            value = json.loads(path.read_text())
            value["cells"] = {row: Cell(**cell) for row, cell in value["cells"].items()}
            found.append(Column(**value))
    return found


def update(columns: list[Column]) -> None:
    """The table in docs/servers.md is this one."""
    before, _, rest = PLACE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PLACE.write_text(before + BEGIN + "\n" + markdown(columns) + "\n" + END + after)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("servers", nargs="*", default=[], help=", ".join(SERVERS))
    parser.add_argument("--only", default="", help="rows that match this pattern")
    parser.add_argument("--markdown", action="store_true", help="the table as in docs/servers.md")
    parser.add_argument("--stored", action="store_true",
                        help="no run: what was last seen of each server")
    parser.add_argument("--update", action="store_true", help="write it into docs/servers.md")
    given = parser.parse_args()
    unknown = set(given.servers) - set(SERVERS)
    if unknown:
        parser.error(f"no such server: {' '.join(sorted(unknown))}")
    if not binary().exists():
        parser.error(f"{binary()} is not there: make first")
    columns = []
    if not given.stored:
        for name in given.servers or SERVERS:
            columns.append(try_server(name, given.only))
            store(columns[-1], given.only)
    if given.stored or given.update:
        columns = stored()
    if given.update:
        update(columns)
    print(markdown(columns) if given.markdown else f"{text_table(columns)}\n\n"
          + details(columns, ""), end="")
    for column in columns:
        if column.missing and not given.markdown:
            print(f"{column.title} was not tried: {column.missing}")
    cells = [cell.word for column in columns for cell in column.cells.values()]
    if not given.markdown:
        print(f"{cells.count('ok')} ok, {cells.count('FAIL')} FAIL, {cells.count('server')} of the "
              f"server's own, {cells.count('skip')} skipped")
    return 1 if "FAIL" in cells or not cells else 0


if __name__ == "__main__":
    sys.exit(main())
