"""Inside Neutron: ports of its agent become subjects, and are bound where Neutron wires them."""
