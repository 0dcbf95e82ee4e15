"""Where Neutron looks for API extensions: each file holds one class of its own name."""
