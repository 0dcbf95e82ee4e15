"""Caps of the template protocols that are not settings: each bounds what one sender can make us do."""

from __future__ import annotations

from typing import Final

MAX_SETS: Final = 1024  # in one message
MAX_LAYOUTS: Final = 2048  # different templates known by their content, whoever sends them
MAX_LAYOUTS_PER_BURST: Final = 512  # of which one burst may use
MAX_DEFINITIONS_PER_BURST: Final = 16384  # templates and withdrawals
MAX_FRESH_OCTETS_PER_BURST: Final = 1 << 18  # of template sets not seen before: each costs a third of a µs
MAX_PARSED_OCTETS: Final = 1 << 20  # template sets remembered as sent, so that a refresh costs little
MAX_RECORDS_PER_BURST: Final = 1 << 18
# Steps over fields of variable length, shared by the layouts of a burst: each is some ten microseconds.
MAX_STEPS_PER_BURST: Final = 1 << 15
MAX_COUNT: Final = 1e16  # octets or packets of one record, scaled: ten petabytes
MAX_RATES_PER_EXPORTER: Final = 1024  # sampling rates by selector, interface or template
MAX_RATES: Final = 65536
MAX_RATES_PER_BURST: Final = 4096  # new or changed
CLOCK_STEP: Final = 60.0  # the clock may jump; silence is measured in steps of at most this many seconds
# An Open vSwitch that told packets on input this many seconds ago still does.
OVS_INPUT_MEMORY: Final = 600.0
