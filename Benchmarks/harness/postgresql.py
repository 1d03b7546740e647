"""A PostgreSQL server of the benchmark's own, and which of its pages changed."""

import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import measure

PAGE = 8192
SEGMENT = 16 << 20
RELATION = re.compile(r"\d+(_(fsm|vm|init))?(\.\d+)?")
WAL_NAME = re.compile(r"[0-9A-F]{24}")
PATIENCE = 60  # seconds for a server to start or stop


class ServerError(Exception):
    """A server cannot be made, started or asked."""


def programs() -> Path:
    """The directory of the newest installed release's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not found:
        raise ServerError("PostgreSQL is missing: scripts/setup installs it")
    return found[-1].parent


def as_server(argv: list[str]) -> list[str]:
    """PostgreSQL's programs refuse to run as root: there they run as `postgres`."""
    if os.geteuid() != 0:
        return argv
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *argv]


def give(path: Path) -> Path:
    """Hands a file or directory to the account of the server."""
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(path, account.pw_uid, account.pw_gid)
    return path


class Cluster:
    """A cluster with checksums below `home`, a directory of the server's account. Sockets only, in a directory of their own
    with a short path; the server and that end with ``close``."""

    def __init__(self, home: Path):
        if re.search(r"[^\w/.+-]", str(home)):
            raise ServerError(f"{home} holds characters that PostgreSQL's commands would need quoted; set BENCH_DIR")
        self.home = home
        self.data = home / "data"
        self.gate = home / "gate"
        self.sockets = Path(tempfile.mkdtemp(prefix="qala-bench-"))
        self.sockets.chmod(0o755)
        give(self.sockets)
        self.env = {"PATH": f"{programs()}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(home)}
        self._server: subprocess.Popen | None = None

    def make(self) -> None:
        """Makes the cluster anew, whatever was there, and starts it."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        give(self.home).chmod(0o755)
        self.run("initdb", "-k", "-A", "trust", "-U", "postgres", "-D", str(self.data))
        self.start(self.data, [
            "shared_buffers=1GB", "max_wal_size=4GB", "checkpoint_timeout=30min", "wal_level=replica", "archive_mode=on",
            "archive_command=/bin/true", "autovacuum=off"])  # fmt: skip

    def start(self, data: Path, settings: list[str]) -> None:
        options = [f"unix_socket_directories={self.sockets}", "listen_addresses=", *settings]
        # What ALTER SYSTEM sets later must win, so these go into a file; what is on the command line would win instead.
        with open(data / "postgresql.conf", "a") as file:
            file.writelines("{} = '{}'\n".format(*option.split("=", 1)) for option in options)
        with open(self.home / "log", "ab") as log:
            self._server = subprocess.Popen(
                as_server([str(programs() / "postgres"), "-D", str(data)]), env=self.env, cwd=self.home,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + PATIENCE
        while self._server.poll() is None and time.monotonic() < end:
            try:
                if self.sql("SELECT pg_is_in_recovery()") == "f":
                    return
            except ServerError:
                pass
            time.sleep(0.1)
        self.stop()
        told = (self.home / "log").read_text(errors="replace")
        raise ServerError(f"the server does not start: {told[-1000:]}")

    def stop(self) -> None:
        """Ends the server at once. What is behind the gate goes on first, or it would outlive the server."""
        if self._server is None:
            return
        if self.home.exists():
            self.gate.touch()
        for way in (signal.SIGQUIT, signal.SIGKILL):
            if self._server.poll() is None:
                self._server.send_signal(way)
                try:
                    self._server.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    continue
        self._server = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def run(self, program: str, *arguments: str) -> str:
        made = subprocess.run(
            as_server([str(programs() / program), *arguments]), env=self.env, cwd=self.home, capture_output=True,
            text=True, stdin=subprocess.DEVNULL)
        if made.returncode != 0:
            raise ServerError(f"{program}: {(made.stderr or made.stdout).strip()[-500:]}")
        return made.stdout.strip()

    def sql(self, *statements: str) -> str:
        commands = [word for statement in statements for word in ("-c", statement)]
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(self.sockets), "-U", "postgres", *commands)

    def pgbench(self, *arguments: str) -> None:
        self.run("pgbench", "-h", str(self.sockets), "-U", "postgres", *arguments, "postgres")

    def checkpoint(self) -> None:
        self.sql("CHECKPOINT")
        os.sync()

    # MARK: the log

    def archive_by(self, command: str) -> None:
        self.sql(f"ALTER SYSTEM SET archive_command = '{command}'", "SELECT pg_reload_conf()")

    def waiting(self) -> list[str]:
        """Names of the segments that were not archived yet."""
        names = (path.stem for path in (self.data / "pg_wal" / "archive_status").iterdir() if path.suffix == ".ready")
        return sorted(name for name in names if WAL_NAME.fullmatch(name))

    def drain(self, command: str, count: int, patience: float) -> tuple[list[str], float]:
        """Lets at least `count` full segments gather and then PostgreSQL archive them, one after the other, as it does.

        Returns their names and the seconds that took. The archiver waits at the gate with the first one: its pauses after a
        command that failed would be measured too.
        """
        self.gate.unlink(missing_ok=True)
        self.archive_by(f"while [ ! -e {self.gate} ]; do sleep 0.01; done; {command}")
        self.sql("SELECT pg_switch_wal()", "CREATE TABLE IF NOT EXISTS junk (g int, t text)")
        while len(self.waiting()) < count:
            self.sql("INSERT INTO junk SELECT g, md5(g::text) FROM generate_series(1, 100000) g")
        self.sql("SELECT pg_switch_wal()")
        time.sleep(1)
        names = self.waiting()
        os.sync()
        measure.touch_memory()
        start = time.monotonic()
        self.gate.touch()
        while self.waiting():
            if time.monotonic() - start > patience:
                left = len(self.waiting())
                self.archive_by("/bin/true")
                raise ServerError(f"{left} of {len(names)} segments were not archived within {patience:.0f} s")
            time.sleep(0.01)
        seconds = time.monotonic() - start
        self.archive_by("/bin/true")
        self.sql("DROP TABLE junk")
        return names, seconds

    # MARK: pages

    def relations(self, *names: str) -> list[Path]:
        """Every file of the relations whose names begin so: forks and segments; of all relations without a name."""
        if not names:
            return sorted(self._files(lambda name: True))
        chosen = " OR ".join(f"relname LIKE '{name}%'" for name in names)
        rows = self.sql(f"SELECT pg_relation_filepath(oid) FROM pg_class WHERE relkind IN ('r', 'i', 't') AND ({chosen})")
        first = {Path(row).name for row in rows.splitlines() if row}
        return sorted(self._files(lambda name: re.split(r"[_.]", name)[0] in first))

    def _files(self, is_wanted: Callable[[str], bool]) -> Iterator[Path]:
        for directory in [self.data / "global", *(self.data / "base").iterdir()]:
            for path in directory.iterdir():
                if RELATION.fullmatch(path.name) and is_wanted(path.name):
                    yield path


def page_sums(files: list[Path]) -> dict[Path, array]:
    """A checksum of each page of each file."""
    sums = {}
    for path in files:
        pages = array("I")
        with open(path, "rb") as file:
            while block := file.read(512 * PAGE):
                pages.extend(zlib.crc32(block[at : at + PAGE]) for at in range(0, len(block), PAGE))
        sums[path] = pages
    return sums


def changed_pages(before: dict[Path, array], after: dict[Path, array]) -> dict[Path, list[int]]:
    """Numbers of the pages that are new or other than before, of each file that has any."""
    found = {}
    for path, now in after.items():
        was = before.get(path, ())
        pages = [at for at, page in enumerate(now) if at >= len(was) or was[at] != page]
        if pages:
            found[path] = pages
    return found


@dataclass
class Table:
    """A table that is changed: `rows` for each unit of the scale; of `share` rows one is changed where they are chosen at
    random."""

    name: str
    key: str
    change: str
    rows: int
    share: int


# Accounts compress 19 to 1, letters 2 to 1: what is in real databases lies between.
TABLES = {
    "accounts": Table("pgbench_accounts", "aid", "abalance = abalance + 1", 100_000, 5000),
    "letters": Table("letters", "id", "body = md5(id::text) || substr(body, 33)", 2000, 500),
}
KINDS = ("clustered", "scattered")


def make_letters(cluster: Cluster, scale: int) -> None:
    body = "(SELECT string_agg(md5((n * 31 + k)::text), '') FROM generate_series(1, 30) k)"
    cluster.sql(
        "CREATE TABLE letters (id int PRIMARY KEY, body text)",
        f"INSERT INTO letters SELECT n, {body} FROM generate_series(1, {TABLES['letters'].rows * scale}) n")


def change(table: str, kind: str, scale: int) -> str:
    """Changes one row in a hundred, all beside each other, or fewer at random, the same at every time."""
    it = TABLES[table]
    rows = it.rows * scale
    if kind == "clustered":
        chosen = f"BETWEEN {rows // 2} AND {rows // 2 + rows // 100}"
    else:
        chosen = f"IN ({', '.join(map(str, random.Random(7).sample(range(1, rows + 1), rows // it.share)))})"
    return f"UPDATE {it.name} SET {it.change} WHERE {it.key} {chosen}"
