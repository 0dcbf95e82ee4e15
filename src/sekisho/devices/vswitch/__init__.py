"""Open vSwitch: bindings in, rules and meters out, receipts back."""
