"""Keep: FlowBatch in; questions about the past, answered."""
