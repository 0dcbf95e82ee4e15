"""Speaks to the API of a keeper: requests out, nouns and errors of the one tree in."""

from sekisho.client.client import Client
from sekisho.client.files import open_client

__all__ = ["Client", "open_client"]
