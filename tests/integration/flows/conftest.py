"""The real switch's fixtures, for every test of this folder."""

from support_ovs import bridge, switch

__all__ = ["bridge", "switch"]
