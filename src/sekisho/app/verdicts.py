"""From evidence to a verdict: policy, guard, ladder, ledger; nothing else decides."""
