"""Where a record's time goes: a flame graph of the collector's road as SVG.

    python bench/flame.py [--streams netflow9,sflow] [--seconds 6] docs/reference/collector-flame.svg

Every millisecond of processor time that the road has had, the kernel interrupts it and the Python frames are
taken down; time in compiled code is its caller's. The streams stand beside each other, each with equal time.
"""

from __future__ import annotations

import argparse
import signal
import time
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from road import Road, bursts, learn
from traffic.cloud import Cloud
from traffic.streams import stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

WIDTH, ROW, TOP = 1200, 18, 34  # octets of an SVG are cheap, but nobody reads more than this
THIN: Final = 2.0  # pixels: below that a box is left out
GLYPH: Final = 6.3  # pixels of a character
# A colour to a room, as on a map; what is not ours is grey.
COLOURS: Final = {
    "flows/wire": "#f4a259",
    "flows/": "#f2c14e",
    "detect/": "#8cb369",
    "native/": "#bc6c8c",
    "": "#c9c9c9",
}


@dataclass(slots=True)
class Node:
    """A frame, how often it was seen, and what it called."""

    seen: int = 0
    calls: dict[str, Node] = field(default_factory=dict)

    def add(self, stack: Sequence[str], seen: int = 1) -> None:
        """Count a stack, outermost frame first."""
        node = self
        node.seen += seen
        for name in stack:
            node = node.calls.setdefault(name, Node())
            node.seen += seen


def label(frame: FrameType) -> str:
    """Name a frame by room, file and function; foreign code by its package."""
    file, _, name = frame.f_code.co_filename.partition("/sekisho/")[2], "", frame.f_code.co_qualname
    if file:
        return f"{file.removesuffix('.py')}: {name}"
    parts = Path(frame.f_code.co_filename).parts
    package = parts[parts.index("site-packages") + 1] if "site-packages" in parts else parts[-1]
    return f"{package}: {name}"


def stack_of(frame: FrameType | None) -> list[str]:
    """Give the frames from the road's own down, outermost first."""
    found: list[str] = []
    while frame is not None and frame.f_code is not Road.take.__code__:
        found.append(label(frame))
        frame = frame.f_back
    return found[::-1] if frame is not None else []


def watch(name: str, seconds: float, root: Node) -> None:
    """Have a stream worked off for so long, and take down where it was."""
    cloud = Cloud()
    made, road = stream(name, cloud), Road(cloud)
    learn(road, made, 1)
    whole = next(iter(bursts(made, 1, 1)))
    road.take(whole)
    signal.signal(signal.SIGPROF, lambda _number, frame: root.add([name, *stack_of(frame)]))
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    end = time.process_time() + seconds
    while time.process_time() < end:
        whole.time += 0.1
        road.take(whole)
    signal.setitimer(signal.ITIMER_PROF, 0.0)


def colour(name: str) -> str:
    """Give a frame the colour of its room."""
    return next(paint for room, paint in COLOURS.items() if name.startswith(room))


def boxes(node: Node, name: str, x: float, depth: int, scale: float) -> Iterator[str]:
    """Draw a frame and what it called, from the left, the widest first."""
    width = node.seen * scale
    if width < THIN:
        return
    y, room = TOP + depth * ROW, int(width / GLYPH)
    short = name.rpartition(": ")[2] if len(name) > room else name
    text = short if len(short) <= room else ""
    share = f"{node.seen * scale / WIDTH:.1%}"
    yield (
        f'<g><title>{escape(name)}: {share}</title><rect x="{x:.1f}" y="{y}" width="{width - 0.5:.1f}" '
        f'height="{ROW - 1}" rx="1.5" fill="{colour(name)}"/>'
        + (f'<text x="{x + 3:.1f}" y="{y + 12.5}">{escape(text)}</text>' if text else "")
        + "</g>"
    )
    for called, each in sorted(node.calls.items(), key=lambda item: -item[1].seen):
        yield from boxes(each, called, x, depth + 1, scale)
        x += each.seen * scale


def depth_of(node: Node, scale: float) -> int:
    """Count the rows that are drawn."""
    drawn = [each for each in node.calls.values() if each.seen * scale >= THIN]
    return 1 + max((depth_of(each, scale) for each in drawn), default=0)


def svg(root: Node, title: str) -> str:
    """Draw it."""
    scale = WIDTH / max(root.seen, 1)
    height = TOP + depth_of(root, scale) * ROW + 6
    body = "\n".join(boxes(root, "the road", 0.0, 0, scale))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'font-family="sans-serif" font-size="11" fill="#222">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
        f'<text x="6" y="21" font-size="14">{escape(title)}</text>\n{body}\n</svg>\n'
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Watch what is asked for, and draw it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--streams", default="netflow9,sflow,ipfix_ovs")
    parser.add_argument("--seconds", type=float, default=6.0, help="of processor time, for each stream")
    given = parser.parse_args(arguments)
    root = Node()
    for name in given.streams.split(","):
        watch(name, given.seconds, root)
    title = f"Processor time from a burst to the windows: {given.streams.replace(',', ', ')}"
    given.picture.write_text(svg(root, title))


if __name__ == "__main__":
    main()
