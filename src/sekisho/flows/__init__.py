"""Hear: datagrams in, FlowBatch out."""
