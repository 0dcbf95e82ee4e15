"""COUNT: cumulative readings of ports in, bytes per subject over a long sliding window out."""
