"""Octavia's objects in, its statuses and statistics out: drivers in Octavia's API, an agent beside it."""
