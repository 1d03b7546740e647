"""The tools compared: how each makes a vault and does each phase."""

import os
import shlex
import shutil
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

# In the order they run within a round. `changed` and what follows see the tree after the 1 % change.
PHASES = ("first", "unchanged", "changed", "find", "restore", "verify")
PASSPHRASE = "benchmark"


class ToolError(Exception):
    """A tool is absent or could not be prepared."""


class Tool(ABC):
    """One tool with one vault for one data set."""

    name: str

    def __init__(self, base: Path, data: str):
        self.home = base / "vaults" / f"{self.name}-{data}"
        self.vault = self.home / "vault"
        self.out = base / "restored" / self.name
        self.source = base / "data" / data
        self.archives = 0
        self.env = dict(os.environ, LC_ALL="C.UTF-8")

    def prepare(self) -> None:
        """An empty vault and no cache; not measured."""
        self.clear()
        self.home.mkdir(parents=True)
        self.archives = 0
        (self.home / "passphrase").write_text(PASSPHRASE + "\n")
        made = subprocess.run(self.initialise(), env=self.env, cwd=self.home, capture_output=True, text=True)
        if made.returncode != 0:
            raise ToolError(f"{self.name}: no vault: {(made.stderr or made.stdout).strip()[-500:]}")

    def clear(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def command(self, phase: str, sought: str) -> list[str]:
        if phase in ("first", "unchanged", "changed"):
            self.archives += 1
            return self.archive()
        if phase == "find":
            return self.find(sought)
        return self.restore() if phase == "restore" else self.verify()

    def working_directory(self, phase: str) -> Path:
        return self.out if phase == "restore" else self.source.parent

    def restored(self) -> Path:
        """Where a restore put the tree: some keep the absolute path, some the name alone."""
        whole = self.out / self.source.relative_to("/")
        return whole if whole.exists() else self.out / self.source.name

    @abstractmethod
    def version(self) -> str: ...
    @abstractmethod
    def initialise(self) -> list[str]: ...
    @abstractmethod
    def archive(self) -> list[str]: ...
    @abstractmethod
    def find(self, sought: str) -> list[str]: ...
    @abstractmethod
    def restore(self) -> list[str]: ...
    @abstractmethod
    def verify(self) -> list[str]: ...


def first_line(argv: list[str]) -> str:
    try:
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(f"{argv[0]} does not run: {error}") from error
    return said.strip().splitlines()[0] if said.strip() else "unknown"


class Qala(Tool):
    """Defaults throughout: encrypted, zstd, one passphrase slot."""

    name = "qala"
    binary = Path(os.environ.get("QALA_BINARY", ".build/release/qala")).resolve()

    def __init__(self, base: Path, data: str):
        super().__init__(base, data)
        for variable in [key for key in self.env if key.startswith("QALA_")]:
            del self.env[variable]
        self.env.update(QALA_PASSPHRASE_FILE=str(self.home / "passphrase"), QALA_STATE=str(self.home / "state"))

    def _do(self, *words: str) -> list[str]:
        return [str(self.binary), *words, "--vault", str(self.vault)]

    def version(self) -> str:
        return first_line([str(self.binary), "--version"])

    def initialise(self) -> list[str]:
        return self._do("init", "--kit", str(self.home / "kit.txt"))

    def archive(self) -> list[str]:
        return self._do("archive", str(self.source))

    def find(self, sought: str) -> list[str]:
        return self._do("find", sought, "--all-versions")

    def restore(self) -> list[str]:
        return self._do("restore", "latest", "--to", str(self.out))

    def verify(self) -> list[str]:
        return self._do("verify", "--read-data")


class Restic(Tool):
    """Repository version 2, compression auto."""

    name = "restic"

    def __init__(self, base: Path, data: str):
        super().__init__(base, data)
        self.env.update(
            RESTIC_PASSWORD=PASSPHRASE, RESTIC_REPOSITORY=str(self.vault), RESTIC_CACHE_DIR=str(self.home / "cache"))

    def version(self) -> str:
        return first_line(["restic", "version"])

    def initialise(self) -> list[str]:
        return ["restic", "init", "--repository-version", "2", "-q"]

    def archive(self) -> list[str]:
        return ["restic", "backup", "-q", "--compression", "auto", self.source.name]

    def find(self, sought: str) -> list[str]:
        return ["restic", "find", sought]

    def restore(self) -> list[str]:
        return ["restic", "restore", "latest", "--target", str(self.out)]

    def verify(self) -> list[str]:
        return ["restic", "check", "--read-data"]


class Borg(Tool):
    """Borg 1.4, repokey-blake2, zstd level 3."""

    name = "borg"
    binary = Path(".build/venv-bench/bin/borg").resolve()

    def __init__(self, base: Path, data: str):
        super().__init__(base, data)
        self.env.update(
            BORG_PASSPHRASE=PASSPHRASE, BORG_BASE_DIR=str(self.home / "cache"), BORG_REPO=str(self.vault),
            BORG_CHECK_I_KNOW_WHAT_I_AM_DOING="YES")

    def version(self) -> str:
        return first_line([str(self.binary), "--version"])

    def initialise(self) -> list[str]:
        return [str(self.binary), "init", "-e", "repokey-blake2", str(self.vault)]

    def archive(self) -> list[str]:
        return [str(self.binary), "create", "-C", "zstd,3", f"{self.vault}::a{self.archives}", self.source.name]

    def find(self, sought: str) -> list[str]:
        borg, vault, name = (shlex.quote(str(x)) for x in (self.binary, self.vault, sought))
        lists = " && ".join(f"{borg} list --short {vault}::a{n} | grep {name}" for n in range(1, self.archives + 1))
        return ["bash", "-o", "pipefail", "-c", lists]

    def restore(self) -> list[str]:
        return [str(self.binary), "extract", f"{self.vault}::a{self.archives}"]

    def verify(self) -> list[str]:
        return [str(self.binary), "check", "--verify-data", str(self.vault)]


ALL: dict[str, type[Tool]] = {tool.name: tool for tool in (Qala, Restic, Borg)}
