"""One file per protocol: Burst rows in, FlowBatch rows out; bad input is counted, never raised."""
