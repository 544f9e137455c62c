"""`learnspool watch` in the background: what it says, its processes, and what systemd hears."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from program import Program, binary, environment
from servers import wait_until

PATIENCE = 60  # seconds for what must happen; a test that needs them all has failed


class Watch:
    """One watch process. Ends with its with block, and must then have ended well."""

    def __init__(self, program: Program, *args: str, env: Mapping[str, str] | None = None,
                 program_file: Path | None = None) -> None:
        self.folder = program.folder
        self._number = len(list(self.folder.glob("watch.*.err")))
        self.out_file = self.folder / f"watch.{self._number}.out"
        self.err_file = self.folder / f"watch.{self._number}.err"
        self.notified: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Abstract: the path of a folder may be too long for a socket.
        name = f"learnspool-{os.getpid()}-{id(self)}"
        self._socket.bind("\0" + name)
        threading.Thread(target=self._listen, daemon=True).start()
        command = [str(program_file or binary()), "--config", str(program.config), "watch", *args]
        with self.out_file.open("wb") as out, self.err_file.open("wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=environment({"NOTIFY_SOCKET": "@" + name, **(env or {})}))

    @property
    def err(self) -> str:
        return self.err_file.read_text("utf-8", "replace")

    @property
    def out(self) -> str:
        return self.out_file.read_text("utf-8", "replace")

    def _listen(self) -> None:
        """The queue of such a socket is short, and who writes to it waits."""
        while True:
            self.notified += self._socket.recv(65536).decode().splitlines()

    def states(self) -> list[str]:
        """What systemd was told so far, a line each."""
        return list(self.notified)

    @property
    def status(self) -> str:
        """The last STATUS."""
        lines = [line for line in self.states() if line.startswith("STATUS=")]
        return lines[-1][7:] if lines else ""

    def wait_ready(self, accounts: int) -> None:
        """Until it listens to so many, and has looked at all of them."""
        wanted = f"; {accounts} of "
        wait_until(lambda: wanted in self.status and "; idle; 0 to be looked at" in self.status,
                   PATIENCE, f"{self.status!r} {self.err}")

    def wait_err(self, text: str, count: int = 1) -> None:
        wait_until(lambda: self.err.count(text) >= count, PATIENCE, f"{text!r} in {self.err!r}")

    def children(self) -> dict[int, str]:
        """Process ids and names of its idlers and runs."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                stat = (entry / "stat").read_text()
                name, _, rest = stat.partition("(")[2].rpartition(")")
                if int(rest.split()[1]) == self.process.pid:
                    found[int(entry.name)] = name
        return found

    def idlers(self) -> list[int]:
        return [pid for pid, name in self.children().items() if name == "learnspool-idle"]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit status."""
        if self.process.poll() is None:
            self.send(number)
        status = self.process.wait(PATIENCE)
        return status

    def kill(self) -> None:
        """As kill -9 does; its children must be gone then."""
        children = self.children()
        self.stop(signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in children), PATIENCE,
                   f"left behind: {children}")


def is_alive(pid: int) -> bool:
    """There is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def watching(program: Program, *args: str, accounts: int | None = None,
             env: Mapping[str, str] | None = None) -> Iterator[Watch]:
    """A watch that is ready (accounts: so many are listened to), and ends by SIGTERM with 0."""
    watch = Watch(program, *args, env=env)
    try:
        wait_until(lambda: "READY=1" in watch.states(), PATIENCE, watch.err)
        if accounts is not None:
            watch.wait_ready(accounts)
        yield watch
        children = watch.children()
        status = watch.stop()
        assert status == 0, (status, watch.status, watch.err)
        assert not any(is_alive(pid) for pid in children), children
    finally:
        if watch.process.poll() is None:
            os.kill(watch.process.pid, signal.SIGKILL)
            watch.process.wait()
