"""How the ledger's tables came to be, one file per step; run whenever a ledger is opened."""
