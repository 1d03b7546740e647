"""The four data sets every tool is measured on, and the 1 % change.

src    text, documentation, headers and Python trees of this machine: many small files, natural duplicates
bin    binaries and libraries of the Swift toolchain
media  34 files of 4 to 200 MB that do not compress (AES-CTR key streams with fixed keys)
tiny   1 000 000 files of 0 to 1024 bytes in 1000 directories
"""

import os
import random
import shutil
import stat
import subprocess
from pathlib import Path

NAMES = ("src", "bin", "media", "tiny")

# A name that stands in the middle of each set: what "find one name" looks for.
SOUGHT = {"src": "argparse.py", "bin": "libswiftCore.so", "media": "m017.bin", "tiny": "f000777.dat"}

MEDIA_KEY = "00112233445566778899aabbccddeeff"
MEDIA_STEP = 1_000_000_007
MEDIA_MEGABYTES = (
    200, 5, 60, 12, 150, 33, 8, 100, 75, 5, 18, 140, 45, 9, 120, 27, 64,
    6, 180, 22, 90, 14, 38, 110, 7, 55, 16, 80, 30, 125, 11, 48, 95, 4,
)  # fmt: skip

INTERFACE_SUFFIXES = (".swiftinterface", ".h", ".py", ".modulemap", ".json", ".yaml")
LARGEST_INTERFACE = 1 << 20  # bytes; larger ones are generated tables
LARGEST_STATIC_LIBRARY = 5 << 20  # bytes; larger ones belong to `bin`

HERE = Path(__file__).resolve().parent


class DataError(Exception):
    """A data set cannot be made or changed."""


def toolchain() -> Path:
    """The `usr` directory of the Swift toolchain on PATH."""
    swift = shutil.which("swift")
    if swift is None:
        raise DataError("no swift on PATH: the sets src and bin are made from its toolchain")
    return Path(swift).resolve().parent.parent


def build(name: str, base: Path, progress=print) -> Path:
    """Makes the set under `base`/data unless it is complete already; returns its directory."""
    root = base / "data" / name
    stamp = base / "data" / f".{name}.complete"
    if stamp.exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    {"src": _build_src, "bin": _build_bin, "media": _build_media, "tiny": _build_tiny}[name](root)
    os.sync()
    files, size = measure(root)
    stamp.write_text(f"{files} {size}\n")
    progress(f"{name}: {files} files, {size / 1e9:.2f} GB")
    return root


def measure(root: Path) -> tuple[int, int]:
    """Regular files below `root` and the sum of their lengths in bytes."""
    files = size = 0
    for directory, _, names in os.walk(root):
        for name in names:
            status = os.lstat(os.path.join(directory, name))
            if stat.S_ISREG(status.st_mode):
                files += 1
                size += status.st_size
    return files, size


def recorded(name: str, base: Path) -> tuple[int, int]:
    """File count and bytes as they were when the set was made."""
    files, size = (base / "data" / f".{name}.complete").read_text().split()
    return int(files), int(size)


def _copy(sources: list[Path], into: Path) -> None:
    if sources:
        subprocess.run(["cp", "-a", "-t", str(into), *map(str, sources)], check=True)


def _build_src(root: Path) -> None:
    pythons = [p for p in sorted(Path("/usr/lib").glob("python3*")) if p.is_dir()]
    _copy([Path("/usr/share"), Path("/usr/include"), *pythons], root)
    _copy_interfaces(toolchain() / "lib", root / "interfaces")
    for library in sorted(Path.home().glob(".pyenv/versions/*/lib")):
        _copy_as(library, root / library.parent.name)
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if name.endswith(".a") and not os.path.islink(path) and os.path.getsize(path) > LARGEST_STATIC_LIBRARY:
                os.unlink(path)


def _copy_as(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "-T", str(source), str(target)], check=True)


def _copy_interfaces(library: Path, into: Path) -> None:
    into.mkdir()
    chosen = []
    for directory, _, names in os.walk(library):
        for name in names:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if not name.endswith(INTERFACE_SUFFIXES) or not stat.S_ISREG(status.st_mode):
                continue
            if status.st_size <= LARGEST_INTERFACE:
                chosen.append(os.path.relpath(path, library))
    subprocess.run(
        ["xargs", "-0", "cp", "-a", "--parents", "-t", str(into)],
        input="\0".join(sorted(chosen)).encode(), cwd=library, check=True)


def _build_bin(root: Path) -> None:
    _copy([toolchain() / "bin", toolchain() / "lib"], root)


def _build_media(root: Path) -> None:
    for number, megabytes in enumerate(MEDIA_MEGABYTES, start=1):
        with open(root / f"m{number:03d}.bin", "wb") as out:
            zeros = subprocess.Popen(["head", "-c", str(megabytes * 1_000_000), "/dev/zero"], stdout=subprocess.PIPE)
            subprocess.run(
                ["openssl", "enc", "-aes-128-ctr", "-nosalt", "-K", MEDIA_KEY, "-iv", f"{number * MEDIA_STEP:032x}"],
                stdin=zeros.stdout, stdout=out, check=True)
            zeros.stdout.close()
            if zeros.wait() != 0:
                raise DataError("media: head failed")


def _build_tiny(root: Path) -> None:
    program = root.parent / ".tiny-maker"
    subprocess.run(["cc", "-O2", "-Wall", "-o", str(program), str(HERE / "tiny.c")], check=True)
    subprocess.run([str(program), str(root), "1000", "1000"], check=True)
    program.unlink()


class Change:
    """Every 100th file, by path, gets 1 KiB of noise (64 bytes in `tiny`) in its middle; `revert` undoes it.

    The originals stand in `base`/originals/NAME; should a run be killed between the two, the next `apply` reverts
    first.
    """

    def __init__(self, name: str, base: Path):
        self.root = base / "data" / name
        self.kept = base / "originals" / name
        self.inserted = 64 if name == "tiny" else 1024

    def apply(self) -> int:
        """Returns the number of files changed."""
        self.revert()
        chosen = self._choose()
        self.kept.mkdir(parents=True)
        noise = random.Random(42)
        with open(self.kept / "list", "wb") as names:
            for number, path in enumerate(chosen):
                shutil.copy2(path, self.kept / str(number))
                names.write(os.fsencode(path) + b"\0")
                names.flush()
                with open(path, "r+b") as file:
                    content = file.read()
                    middle = len(content) // 2
                    file.seek(middle)
                    file.write(noise.randbytes(self.inserted) + content[middle:])
        return len(chosen)

    def revert(self) -> None:
        """Puts content and modification times back; does nothing where nothing was changed."""
        if not (self.kept / "list").exists():
            shutil.rmtree(self.kept, ignore_errors=True)
            return
        names = (self.kept / "list").read_bytes().split(b"\0")[:-1]
        for number, path in enumerate(names):
            original = self.kept / str(number)
            with open(path, "wb") as file:
                file.write(original.read_bytes())
            status = original.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        shutil.rmtree(self.kept)

    def _choose(self) -> list[str]:
        files = []
        for directory, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(directory, name)
                if stat.S_ISREG(os.lstat(path).st_mode):
                    files.append(path)
        files.sort()
        if not files:
            raise DataError(f"{self.root} is empty")
        return files[99::100] or [files[len(files) // 2]]
