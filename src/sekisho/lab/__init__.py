"""A real Open vSwitch with small VMs, to see everything work on one machine."""
