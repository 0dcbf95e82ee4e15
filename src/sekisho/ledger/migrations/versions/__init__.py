"""One migration per file; what is released is never edited, only followed."""
