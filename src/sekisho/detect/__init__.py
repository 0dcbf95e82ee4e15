"""Judge: FlowBatch in, Evidence out."""
