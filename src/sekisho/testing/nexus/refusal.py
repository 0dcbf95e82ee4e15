"""What the box says when it will not: the words as its own doors would give them."""

from __future__ import annotations


class Refusal(Exception):
    """The box refuses; `text` is what it says, without a line's end."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
