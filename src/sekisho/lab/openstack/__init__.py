"""A real OpenStack in a folder: Keystone, Neutron with two hosts, Gnocchi, and what they stand on."""
