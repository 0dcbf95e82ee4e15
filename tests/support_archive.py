"""Archives for tests: the contract's inventory and batches, under the names that tests use."""

from sekisho.testing.contract_archive import BEGIN, HOSTS, batch, exporter, inventory, kept, tap

__all__ = ["BEGIN", "HOSTS", "batch", "exporter", "inventory", "kept", "tap"]
