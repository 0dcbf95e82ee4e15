"""Draws docs/images/lab.svg: the laboratory's own view in the middle of its story, from a real run.

Needs root, as the laboratory does:

    python bench/lab_picture.py --at 31
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from sekisho.app.lab import Lab
from sekisho.app.lab_command import lab_settings
from sekisho.app.play import Play
from sekisho.lab import scenario
from sekisho.lab.story import Story

OUT = Path(__file__).parents[1] / "docs" / "images" / "lab.svg"
WIDTH = 112


def drawn(story: Story) -> str:
    """Draw what the view shows now; the picture asks no other site for a font."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(story._view())  # noqa: SLF001 - just what a terminal would be given
    svg = console.export_svg(title="make lab", theme=MONOKAI)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Play the story, and draw it at one moment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", type=float, default=31.0, help="seconds into the story")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    quiet = Console(file=io.StringIO(), width=WIDTH, force_terminal=True)
    play = scenario.find("story")
    with tempfile.TemporaryDirectory(prefix="sekisho-lab-") as folder:
        lab = Lab(lab_settings(Path(folder)))
        story, stop = Story(quiet, time.monotonic(), play.sentence), threading.Event()
        story.hint = "Look around from another shell: sekisho status | top | explain port-spammer | journal"
        try:
            lab.start()
            story.open()
            threading.Timer(asked.at, stop.set).start()
            Play(lab, play, story, stop).run()
            asked.out.parent.mkdir(parents=True, exist_ok=True)
            asked.out.write_text(drawn(story))
        finally:
            story.close()
            lab.stop()
    print(f"{asked.out}: the story at {asked.at:g} s")


if __name__ == "__main__":
    main()
