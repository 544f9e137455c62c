"""Getting servers without installing them: each is unpacked or built below build/conformance, and
what is there already is used again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / "build" / "conformance"
SECONDS = 1800  # for one download or build


class Unavailable(Exception):
    """A server cannot be had on this machine; the text is the reason."""


def run(*words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What it printed; builds give way to everything else on the machine."""
    try:
        done = subprocess.run(["nice", "-n", "10", *map(str, words)], cwd=cwd, text=True,
                              capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL,
                              env={**os.environ, **(env or {})})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{words[0]}: {error}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise Unavailable(f"{words[0]}: {lines[-1]}")
    return done.stdout


def need(*programs: str) -> str:
    """Where the last of them is."""
    found: str | None = ""
    for program in programs:
        found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not found:
            raise Unavailable(f"no {program} on this machine")
    return found or ""


def fresh(folder: Path) -> Path:
    """A folder to fill, which becomes what it is to be by finish()."""
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    return new


def finish(folder: Path) -> Path:
    """Only what came to its end is found by the next run."""
    return folder.with_name(folder.name + ".new").rename(folder)


def installed(package: str) -> bool:
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                          capture_output=True, text=True)
    return done.stdout.startswith("installed")


def libraries(package: str, known: set[str]) -> Iterable[str]:
    """The libraries that a Debian package depends on and that the machine lacks; of several that
    would do, the first."""
    chosen = False
    for line in run("apt-cache", "depends", "--important", package).splitlines():
        kind, _, name = line.strip().partition(" ")
        if kind.endswith("Depends:") and name.startswith("lib") and not chosen:
            if name not in known and not installed(name):
                known.add(name)
                yield name
                yield from libraries(name, known)
        if kind.endswith("Depends:"):
            chosen = kind.startswith("|")


def debian(name: str, *packages: str) -> Path:
    """Debian packages and the libraries that they need, unpacked: no script of theirs runs and
    nothing of the machine changes. in_tree() runs what is in there."""
    folder = CACHE / name
    if folder.exists():
        return folder
    need("apt-get", "dpkg", "unshare")
    new = fresh(folder)
    known = set(packages)
    wanted = [*packages, *(lib for package in packages for lib in libraries(package, known))]
    run("apt-get", "-o", "APT::Sandbox::User=root", "download", *wanted, cwd=new)
    for package in sorted(new.glob("*.deb")):
        run("dpkg", "-x", package, new)
        package.unlink()
    if (new / "lib").is_dir():  # which is usr/lib today
        shutil.copytree(new / "lib", new / "usr" / "lib", symlinks=True, dirs_exist_ok=True)
    (new / "versions").write_text(run("apt-cache", "policy", *packages))
    return finish(folder)


def debian_version(folder: Path) -> str:
    """The version of the first package that was asked for."""
    for line in (folder / "versions").read_text().splitlines():
        if line.strip().startswith("Candidate:"):
            return line.split()[1]
    return "?"


def in_tree(folder: Path, etc: Path | None, run_folder: Path | None, script: str,
            words: Iterable[str | Path] = ()) -> list[str]:
    """A shell script (its arguments: words) that sees an unpacked package where it belongs: over
    the machine's /usr and /etc, in a mount namespace of its own."""
    over = 'over() { mount -t overlay -o "lowerdir=$1:$2" overlay "$2"; }; '
    mounts = f'over "{folder}/usr" /usr && '
    if etc:
        mounts += f'over "{etc}" /etc && '
    if run_folder:
        mounts += f'mount --bind "{run_folder}" /run && '
    return ["unshare", "--mount", "sh", "-c", over + mounts + script, "sh", *map(str, words)]


def can_mount() -> None:
    """Unavailable where unpacked packages cannot be run."""
    if os.geteuid() != 0:
        raise Unavailable("only root can make a mount namespace")
    empty = CACHE / "empty"
    (empty / "usr").mkdir(parents=True, exist_ok=True)
    done = subprocess.run(in_tree(empty, None, None, "true"), capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"no mount namespace with an overlay: {done.stderr.strip()}")


def go(name: str, module: str, version: str, package: str = ".") -> Path:
    """A program built from a Go module, with the module's own go.mod."""
    program = CACHE / f"{name}-{version}"
    if program.exists():
        return program
    need("go")
    env = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    source = fresh(CACHE / f"{name}-source")
    found = json.loads(run("go", "mod", "download", "-json", f"{module}@v{version}", cwd=source,
                           env=env))
    shutil.copytree(found["Dir"], source, dirs_exist_ok=True)
    for path in (source, *source.rglob("*")):  # the module cache is read-only
        path.chmod(path.stat().st_mode | 0o200)
    run("go", "build", "-o", f"{program}.new", package, cwd=source, env=env)
    shutil.rmtree(source)
    return Path(f"{program}.new").rename(program)


POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>conformance</groupId><artifactId>conformance</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
  </dependency></dependencies>
</project>
"""


def maven(group: str, artifact: str, version: str, *, alone: bool = False) -> Path:
    """A folder with the jar and, unless it has them inside, all that it depends on."""
    folder = CACHE / f"{artifact}-{version}"
    if folder.exists():
        return folder
    need("mvn", "java")
    new = fresh(folder)
    (new / "pom.xml").write_text(POM.format(group=group, artifact=artifact, version=version))
    more = [f"-DincludeArtifactIds={artifact}"] if alone else []
    run("mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime",
        "-DoutputDirectory=.", *more, cwd=new)
    return finish(folder)


def pypi(name: str, version: str, *more: str) -> Path:
    """A virtual environment with the package; the folder of its programs."""
    folder = CACHE / f"{name}-{version}"
    if not folder.exists():
        # It knows its own place, so it is made there and marked when it is complete.
        shutil.rmtree(CACHE / f"{name}.venv", ignore_errors=True)
        run("/usr/bin/python3", "-m", "venv", CACHE / f"{name}.venv")
        run(CACHE / f"{name}.venv" / "bin" / "pip", "install", "-q", f"{name}=={version}", *more)
        folder.symlink_to(f"{name}.venv")
    return folder / "bin"
