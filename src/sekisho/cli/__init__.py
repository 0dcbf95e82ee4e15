"""The door for people: commands in, answers of the API out."""

from sekisho.cli.build import build

__all__ = ["build"]
