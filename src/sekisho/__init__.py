"""Sekisho: the traffic checkpoint of a public cloud built on OpenStack and Open vSwitch."""

__version__ = "0.1.0"
