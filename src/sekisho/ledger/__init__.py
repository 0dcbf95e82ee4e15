"""Remember: Evidence in, Restriction out; every intent, reason, end and receipt."""
