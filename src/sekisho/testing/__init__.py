"""Fakes and contract suites, for whoever writes a driver, a detector or a decoder."""
