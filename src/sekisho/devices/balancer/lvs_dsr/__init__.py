"""Balancers on a director of our own, by IPVS in direct return: Balancers in, netlink messages and VRRP out."""
