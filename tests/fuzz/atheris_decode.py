"""A coverage-guided fuzzer over every wire protocol.

    python tests/fuzz/atheris_decode.py [libFuzzer options] [FOLDER]

An input is a burst: datagrams one after another, each behind two octets of length. FOLDER is seeded
with good datagrams and keeps what new inputs reach; without one nothing is kept. An exception, a broken
bound or five seconds over one input (-timeout=5) end the run with a file that repeats it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1])]

with atheris.instrument_imports(include=["sekisho.flows"]):
    import support_fuzz as fuzz


def datagrams_of(data: bytes) -> list[bytes]:
    """Split an input into at most 32 datagrams."""
    found: list[bytes] = []
    at = 0
    while at + 2 <= len(data) and len(found) < 32:
        length = int.from_bytes(data[at : at + 2]) % fuzz.SLOT
        found.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def one_input(data: bytes) -> None:
    """Hear the burst twice: once knowing nothing, once knowing what it taught."""
    ear = fuzz.decoder()
    datagrams = datagrams_of(data)
    fuzz.hear(ear, datagrams, 1000.0)
    fuzz.hear(ear, datagrams, 1031.0)


def seed(folder: Path) -> None:
    """Write the seeds, one by one and a few together, where the folder does not have them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [len(d).to_bytes(2) + d for d in fuzz.seeds()]
    for i, datagram in enumerate([*written, b"".join(written[:9])]):
        (folder / f"seed-{i:03}").write_bytes(datagram)


def main() -> None:
    """Seed the folders that are named, then fuzz until told to stop."""
    for name in sys.argv[1:]:
        if not name.startswith("-"):
            seed(Path(name))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
