"""What a vault would store of relation files for each size of their chunks, and for pages alone."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from .postgresql import PAGE

LEVEL = 2  # of zstd, what a policy has that says nothing
# Beside the packed bytes of a record: its header, tag and lengths, its entries in the footer and in the index.
RECORD_BYTES = 64 + 16 + 8 + 46 + 48
# Of each chunk of a file that changed, in the page of the tree and in the references: all of them are written anew.
LISTED_BYTES = 41 + 32
# Pages alone: where in the file it is and where in which chunk.
MAPPED_BYTES = 12
PAGES_TOGETHER = 32


@dataclass
class Stored:
    """Of one archive: records, their bytes in a vault, and the processor seconds of compressing them."""

    records: int = 0
    stored: int = 0
    seconds: float = 0.0

    def plain(self) -> dict:
        return {"records": self.records, "stored_mb": round(self.stored / 1e6, 3), "seconds": round(self.seconds, 3)}


def _padded(count: int) -> int:
    step = max(64, 1 << max(0, count.bit_length() - 8))
    return -(-count // step) * step


def store(chunks: Iterable[bytes]) -> Stored:
    compressor, made = zstandard.ZstdCompressor(level=LEVEL), Stored()
    for chunk in chunks:
        start = time.process_time()
        packed = len(compressor.compress(chunk))
        made.seconds += time.process_time() - start
        made.records += 1
        made.stored += _padded(min(packed, len(chunk))) + RECORD_BYTES
    return made


def _listed(files: Iterable[Path], size: int) -> int:
    return LISTED_BYTES * sum(-(-path.stat().st_size // size) for path in files)


def whole(files: list[Path], size: int) -> Stored:
    """A first archive."""
    def chunks() -> Iterator[bytes]:
        for path in files:
            with open(path, "rb") as file:
                while chunk := file.read(size):
                    yield chunk

    made = store(chunks())
    made.stored += _listed(files, size)
    return made


def changed(pages: dict[Path, list[int]], size: int) -> Stored:
    """The next archive, in chunks of `size` bytes of which at least one page changed."""
    def chunks() -> Iterator[bytes]:
        for path, numbers in pages.items():
            with open(path, "rb") as file:
                for number in sorted({page * PAGE // size for page in numbers}):
                    file.seek(number * size)
                    yield file.read(size)

    made = store(chunks())
    made.stored += _listed(pages, size)
    return made


def pages_alone(pages: dict[Path, list[int]]) -> Stored:
    """The next archive, if it named pages that changed and took the rest from the archives before."""
    def groups() -> Iterator[bytes]:
        for path, numbers in pages.items():
            with open(path, "rb") as file:
                for at in range(0, len(numbers), PAGES_TOGETHER):
                    group = bytearray()
                    for page in numbers[at : at + PAGES_TOGETHER]:
                        file.seek(page * PAGE)
                        group += file.read(PAGE)
                    yield bytes(group)

    made = store(groups())
    made.stored += MAPPED_BYTES * sum(map(len, pages.values()))
    return made
