"""Balancers on a director of ours, by IPVS in direct return: Balancers in, netlink and VRRP out."""
