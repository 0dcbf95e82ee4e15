"""What can be set about this door."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where to listen and how much to take; sizes in bytes, times in seconds.

    `unix` (a path) replaces `host` and `port`; port 0 takes any free one. `certificate` and
    `private_key` (paths, PEM) turn on TLS. `max_wait` is the longest a long poll is held, and
    `keep_alive` how long an idle connection is kept: longer than agents pause between requests.
    `threads` is how many requests may be at the keeper at once; waiting long polls need none. `asking`
    is how many requests may wait for Keystone at once, and `telling` how many that hosts and collectors
    send every few seconds may be at the keeper at once, both beside those.
    """

    host: str = "127.0.0.1"
    port: int = 8790
    unix: str = ""
    certificate: str = ""
    private_key: str = ""
    max_body: int = 16 * 1024 * 1024
    max_wait: float = 60.0
    keep_alive: float = 120.0
    stop_timeout: float = 5.0
    backlog: int = 2048
    threads: int = 40
    asking: int = 8
    telling: int = 8
