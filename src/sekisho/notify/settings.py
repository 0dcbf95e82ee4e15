"""Settings of notices: which channels are told what, how often, in which words."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read by pydantic when settings are validated
from dataclasses import dataclass, field
from typing import Final, Literal
from zoneinfo import ZoneInfo

from sekisho.model.errors import Malformed
from sekisho.model.notice import NoticeKind

Language = Literal["en", "ja"]
# What a customer hears of its own ports unless the settings say otherwise.
TO_CUSTOMERS: Final = (
    NoticeKind.WARNED,
    NoticeKind.IMPOSED,
    NoticeKind.LIFTED,
    NoticeKind.EXPIRED,
    NoticeKind.RELEASED,
)


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One channel: mail, chat and all else that Apprise speaks, or a signed webhook.

    `kinds` empty is every kind. `url_file` holds one Apprise URL a line (they carry passwords, so they
    stand in no settings). Or `webhook` is an address that is posted JSON, signed with the secret in
    `secret_file`. `batch` is how many seconds what happens is gathered into one message.
    """

    kinds: tuple[NoticeKind, ...] = ()
    url_file: str = ""
    webhook: str = ""
    secret_file: str = ""
    ca_file: str = ""
    language: Language = "en"
    batch: float = 30.0
    timeout: float = 10.0

    def problem(self) -> str:
        """Say what is amiss with it; empty where nothing is."""
        if bool(self.url_file) == bool(self.webhook):
            return "has either `url_file` or `webhook`."
        if self.webhook and not self.secret_file:
            return "needs a `secret_file`: who is told must know that we say it."
        if self.webhook and not self.webhook.startswith(("http://", "https://")):
            return "`webhook` begins with https:// (or http://)."
        if not 0 <= self.batch <= 3600 or not 0.1 <= self.timeout <= 120:
            return "`batch` is 0 to 3600 seconds, `timeout` 0.1 to 120."
        return ""


@dataclass(frozen=True, slots=True)
class CustomerSettings:
    """Notices to the customers themselves; off while `contacts` is empty.

    `contacts` is a TOML file with a table for each project: ``[project.ID]``, ``to`` a list of mail
    addresses, ``language``. `url_file` holds the Apprise URL that sends, ``{to}`` where the address goes.
    `help` is a sentence or address that tells a customer where to ask.
    """

    contacts: str = ""
    url_file: str = ""
    kinds: tuple[NoticeKind, ...] = TO_CUSTOMERS
    language: Language = "en"
    batch: float = 60.0
    timeout: float = 10.0
    help: str = ""

    def __post_init__(self) -> None:
        if bool(self.contacts) != bool(self.url_file):
            raise Malformed("Customers are told with both `contacts` and `url_file`, or not at all.")
        strange = set(self.kinds) - set(TO_CUSTOMERS)
        if strange:
            raise Malformed(f"Customers are not told of {', '.join(sorted(strange))}.")


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """``[keeper.notices]``. `words` is a folder whose ``en.toml`` and ``ja.toml`` replace our words.

    `attempts` is how often a letter is tried, ever more seldom, before it is given up; `keep` how many
    seconds sent and dead ones are kept; `patience` how long something must last before it is told as
    needing a person; `silent` after how many seconds an exporter counts as silent. `zone` is the time
    zone of the times in messages (an IANA name).
    """

    channels: Mapping[str, ChannelSettings] = field(default_factory=dict)
    customers: CustomerSettings = field(default_factory=CustomerSettings)
    words: str = ""
    zone: str = "UTC"
    attempts: int = 10
    keep: float = 14 * 86400.0
    patience: float = 60.0
    silent: float = 300.0

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ValueError, OSError, KeyError) as error:
            raise Malformed(f"`zone` {self.zone!r} is no time zone: write for example Asia/Tokyo.") from error
        found = [(name, channel.problem()) for name, channel in self.channels.items()]
        problems = [f"channels.{name}: {problem}" for name, problem in found if problem]
        if "customers" in self.channels:
            problems.append("channels.customers: customers have a table of their own; choose another name.")
        if problems:
            raise Malformed("The channels are not right.", problems=tuple(problems))

    @property
    def on(self) -> bool:
        """Tell whether anybody is told anything."""
        return bool(self.channels) or bool(self.customers.contacts)
