"""The nouns every room speaks; they import the standard library only."""
