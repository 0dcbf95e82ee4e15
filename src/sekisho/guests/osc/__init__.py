"""Inside the ``openstack`` command: words become requests to Neutron, and its answers become columns."""
