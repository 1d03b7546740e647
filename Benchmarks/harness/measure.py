"""Runs one command and tells what it cost; describes the machine it ran on."""

import mmap
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

QUIET_SHARE = 0.10  # of all processors; above it somebody else's work would be measured too
QUIET_PATIENCE = 60  # seconds
TOUCHED_BYTES = 2 << 30
POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, Linux 5.14
# On an older kernel what comes first pays.
TOUCH = """
import mmap, sys
with mmap.mmap(-1, int(sys.argv[1])) as room:
    try: room.madvise(int(sys.argv[2]))
    except OSError: pass
"""


@dataclass
class Cost:
    """What a command took. `peak_mb` is the largest resident set of any of its processes, in 10^6 bytes.

    The kernel counts the forking interpreter's own pages into that peak, so it never reads below about 20 MB.
    `flush` is what a `sync` took right afterwards: data the tool left to the page cache. `foreign` is processor time
    that others used meanwhile.
    """

    wall: float
    user: float
    system: float
    peak_mb: float
    flush: float
    foreign: float
    code: int

    @property
    def cpu(self) -> float:
        return self.user + self.system

    def plain(self) -> dict:
        return {key: round(value, 3) for key, value in asdict(self).items()}


def _processor_seconds() -> tuple[float, float]:
    """Busy and idle seconds since boot, over all processors."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    tick = os.sysconf("SC_CLK_TCK")
    return (sum(fields) - idle) / tick, idle / tick


def wait_until_quiet() -> bool:
    """Waits until the processors are nearly idle; False when they were not within the patience."""
    end = time.monotonic() + QUIET_PATIENCE
    while True:
        busy, idle = _processor_seconds()
        time.sleep(0.4)
        busy_after, idle_after = _processor_seconds()
        spent = busy_after - busy
        if spent <= QUIET_SHARE * max(0.01, spent + idle_after - idle):
            return True
        if time.monotonic() > end:
            return False


def touch_memory() -> None:
    """Has the host of a virtual machine give the memory that a command may take, as far as any is free.

    A guest that reports free pages loses them within seconds, and a first touch costs a second for each GB or more: without
    this, whoever writes first pays for all.
    """
    free = next(x for x in Path("/proc/meminfo").read_text().splitlines() if x.startswith("MemFree"))
    length = min(TOUCHED_BYTES, int(free.split()[1]) * 1024 * 9 // 10) // mmap.PAGESIZE * mmap.PAGESIZE
    if length:
        # In a process of its own: the peak of this one would be inherited by what is measured.
        subprocess.run([sys.executable, "-c", TOUCH, str(length), str(POPULATE_WRITE)], check=True)


def run(argv: list[str], *, cwd: Path, env: dict[str, str], log: Path, timeout: float) -> Cost:
    """Runs `argv` once; its output goes to `log`. A command past `timeout` seconds is killed (code -9)."""
    os.sync()
    touch_memory()
    busy, _ = _processor_seconds()
    with open(log, "wb") as out:
        start = time.monotonic()
        process = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True)
        alarm = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        alarm.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        alarm.cancel()
    busy_after, _ = _processor_seconds()
    process.returncode = os.waitstatus_to_exitcode(status)
    start = time.monotonic()
    os.sync()
    flush = time.monotonic() - start
    own = usage.ru_utime + usage.ru_stime
    return Cost(
        wall=wall, user=usage.ru_utime, system=usage.ru_stime, peak_mb=usage.ru_maxrss * 1024 / 1e6, flush=flush,
        foreign=max(0.0, busy_after - busy - own), code=process.returncode)


def size_of(directory: Path) -> int:
    """Sum of the lengths of all files below, in bytes."""
    return sum(os.lstat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(directory) for name in names)


def warm(directory: Path) -> None:
    """Reads every file below once, so that all tools start from a warm page cache."""
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path) and os.path.isfile(path):
                with open(path, "rb", buffering=0) as file:
                    while file.read(1 << 20):
                        pass


def machine(directory: Path) -> dict:
    """The kind of machine, without its name: processor, memory, the disk under `directory`, kernel."""
    info = Path("/proc/cpuinfo").read_text()
    fields = {}
    for line in info.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags", fields.get("Features", "")).split()
    known = ("sse4_1", "avx2", "avx512f", "aes", "vaes", "vpclmulqdq", "sha_ni", "sha2", "pmull")
    memory = int(next(x for x in Path("/proc/meminfo").read_text().splitlines() if x.startswith("MemTotal")).split()[1])
    return {
        "cpu": fields.get("model name", platform.machine()),
        "cores": os.cpu_count(),
        "features": [flag for flag in known if flag in flags],
        "memory_gb": round(memory * 1024 / 1e9, 1),
        "disk": _disk(directory),
        "kernel": platform.release(),
        "system": _system(),
    }


def _disk(directory: Path) -> str:
    kind, best = "unknown", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, system, *_ = line.split()
        inside = point == "/" or str(directory) == point or str(directory).startswith(point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, system
    return f"{kind}, {shutil.disk_usage(directory).total / 1e9:.0f} GB"


def _system() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return "Linux"
