"""Speaks to the API of a keeper: requests out, nouns and errors of the one tree in."""

from sekisho.client.client import Client

__all__ = ["Client"]
