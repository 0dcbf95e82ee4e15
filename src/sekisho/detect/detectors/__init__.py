"""One file per detector: Observations in, one number with its error per subject out."""
