"""The programs that archive PostgreSQL, side by side: how each is made ready and does each phase."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import tools
from .postgresql import Cluster, as_server, give

ROOT = Path(__file__).resolve().parent.parent.parent
STANZA = "main"
WAL_SOURCE = "main"
DAEMON_PATIENCE = 60  # seconds for the daemon to answer, and to end

PGBACKREST = """\
[global]
repo1-path={home}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={passphrase}
repo1-retention-full=9
repo1-bundle=y
compress-type=zst
compress-level=3
process-max=2
start-fast=y
log-path={home}/log
spool-path={home}/spool
lock-path={home}/lock
log-level-console=warn
log-level-file=off
[{stanza}]
pg1-path={data}
pg1-socket-path={sockets}
pg1-user=postgres
"""

POLICY = """\
policy: db
component: database
responsible: {{name: Benchmark}}
confidentiality: internal
sources:
  - {{postgresql: main, data-directory: {data}, socket: {sockets}}}
"""


class Qala(tools.Qala):
    """`qala run` of a policy with the cluster alone; defaults throughout. The key comes from a file, as pgBackRest's does."""

    def __init__(self, base: Path, cluster: Cluster):
        super().__init__(base, "postgresql")
        self.cluster = cluster
        self.policy = self.home / "policy.yaml"

    def prepare(self) -> None:
        super().prepare()
        self.env["QALA_KEY_FILE"] = str(self.home / "kit.txt")
        self.policy.write_text(POLICY.format(data=self.cluster.data, sockets=self.cluster.sockets))
        self.policy.chmod(0o644)

    def before(self) -> None:
        # What it needs of the log it reads itself.
        self.cluster.archive_by("/bin/true")

    def full(self) -> list[str]:
        return self._do("run", str(self.policy))

    next = full

    def restored_to(self, target: Path) -> list[str]:
        return self._do("restore", "latest", "--cluster", "main", "--to", str(target))

    def delta(self, target: Path) -> list[str]:
        return [*self.restored_to(target), "--delta"]


class PgBackRest:
    """Encrypted, zstd 3, two processes; as the account of the server, which it needs."""

    name = "pgbackrest"

    def __init__(self, base: Path, cluster: Cluster):
        self.cluster = cluster
        self.home = base / "vaults" / "pgbackrest-postgresql"
        self.vault = self.home / "repo"
        self.env = dict(cluster.env)

    def version(self) -> str:
        return tools.first_line(["pgbackrest", "version"])

    def command(self, *words: str) -> list[str]:
        return ["pgbackrest", f"--config={self.home}/pgbackrest.conf", f"--stanza={STANZA}", *words]

    def prepare(self) -> None:
        self.clear()
        self.home.mkdir(parents=True)
        for part in ("", "repo", "log", "spool", "lock"):
            (self.home / part).mkdir(exist_ok=True)
            give(self.home / part)
        config = self.home / "pgbackrest.conf"
        config.write_text(PGBACKREST.format(
            home=self.home, passphrase=tools.PASSPHRASE, stanza=STANZA, data=self.cluster.data,
            sockets=self.cluster.sockets))  # fmt: skip
        give(config)
        made = subprocess.run(
            as_server(self.command("stanza-create")), env=self.env, cwd=self.home, capture_output=True, text=True)
        if made.returncode != 0:
            raise tools.ToolError(f"pgbackrest: no stanza: {(made.stderr or made.stdout).strip()[-500:]}")

    def clear(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def before(self) -> None:
        # It waits until the log of its archive has come by this way.
        self.cluster.archive_by(self.push())

    def push(self, *options: str) -> str:
        return " ".join(self.command(*options, "archive-push", "%p"))

    def full(self) -> list[str]:
        return as_server(self.command("--type=full", "backup"))

    def next(self) -> list[str]:
        return as_server(self.command("--type=incr", "backup"))

    def restored_to(self, target: Path) -> list[str]:
        return as_server(self.command(f"--pg1-path={target}", "restore"))

    def delta(self, target: Path) -> list[str]:
        return as_server(self.command(f"--pg1-path={target}", "--delta", "restore"))

    def fetches(self, names: list[str], folder: Path) -> list[str]:
        get = " ".join(self.command("archive-get"))
        return as_server(_each(names, f"{get} $n {folder}/$n"))


class WALDaemon:
    """`qalad` with a vault of its own, which takes the log of the cluster and acknowledges it as `acknowledge` says."""

    def __init__(self, base: Path, cluster: Cluster, acknowledge: str):
        self.cluster = cluster
        self.tool = tools.Qala(base, f"wal-{acknowledge}")
        self.socket = cluster.sockets / "wal.sock"
        self.control = cluster.sockets / "control.sock"
        self.log = base / "logs" / f"qalad-{acknowledge}.log"
        self.env = dict(self.tool.env, QALA_VAULT=str(self.tool.vault), QALA_SOCKET=str(self.control))
        self.helper = cluster.sockets / "qala-wal"
        self._process: subprocess.Popen | None = None
        self._acknowledge = acknowledge

    def start(self) -> None:
        self.tool.prepare()
        beside = self.tool.binary.parent
        # The account of the server may not get to where the build is.
        shutil.copy(beside / "qala-wal", self.helper)
        self.helper.chmod(0o755)
        folder = self.tool.home / "policies"
        folder.mkdir()
        (folder / "people.yaml").write_text((ROOT / "Policies" / "people.yaml").read_text())
        (folder / "wal.yaml").write_text(self._policy())
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [str(beside / "qalad"), "--policies", str(folder), "--state", self.env["QALA_STATE"], "--vault",
                 self.env["QALA_VAULT"], "--socket", str(self.control), "--key-file", str(self.tool.home / "kit.txt"),
                 "--reserve", "0"],
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)  # fmt: skip
        self._wait("the daemon", lambda: self._ask("status", "--quiet").returncode == 0)

    def _policy(self) -> str:
        """The shipped policy for configuration files, with the log as its only source and no schedule of its own."""
        kept, skips = [], False
        for line in (ROOT / "Policies" / "config.yaml").read_text().splitlines():
            if not line.startswith(" "):
                skips = line.startswith(("policy:", "sources:", "rpo:"))
            if not skips and not line.startswith("  jitter:"):
                kept.append('  calendar: "*-01-01"' if line.startswith("  calendar:") else line)
        account = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        return "\n".join(kept) + (
            "\npolicy: wal\nrpo: 400 days\nsources:\n  - postgresql-wal: "
            f"{WAL_SOURCE}\n    user: {account}\n    acknowledge: {self._acknowledge}\n    batch-time: 2 seconds\n")

    def _ask(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(self.tool.binary), *words], env=self.env, capture_output=True, text=True)

    def _wait(self, what: str, is_so, seconds: float = DAEMON_PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not is_so():
            if self._process.poll() is not None or time.monotonic() > end:
                said = self.log.read_text(errors="replace").strip().splitlines()
                raise tools.ToolError(f"waited in vain for {what}: {said[-1] if said else 'the daemon said nothing'}")
            time.sleep(0.1)

    def push(self) -> str:
        return f"{self.helper} --socket {self.socket} push %p"

    def wait_until_archived(self, seconds: float) -> None:
        def is_so() -> bool:
            told = self._ask("wal", "status", "--json")
            return bool(told.stdout) and json.loads(told.stdout)["sources"][0]["waiting"] == 0

        self._wait("the archives of the log", is_so, seconds)

    def fetches(self, names: list[str], folder: Path) -> list[str]:
        return _each(names, f"{self.helper} --socket {self.socket} fetch $n {folder}/$n")

    def repeated(self, path: Path | None, times: int) -> list[str]:
        """Pushes a small file so many times; without one, runs a program that does nothing instead."""
        call = f"{self.helper} --socket {self.socket} push {path}" if path else "/bin/true"
        return ["sh", "-c", f"i=0; while [ $i -lt {times} ]; do {call} || exit 1; i=$((i+1)); done"]

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            for way in (signal.SIGTERM, signal.SIGKILL):
                self._process.send_signal(way)
                try:
                    self._process.wait(DAEMON_PATIENCE)
                    break
                except subprocess.TimeoutExpired:
                    continue
        self._process = None
        self.tool.clear()


def _each(names: list[str], call: str) -> list[str]:
    return ["sh", "-c", f"for n in {' '.join(names)}; do {call} || exit 1; done"]
