"""Make load balancers what customers asked for: Balancers in, changes on the device and how each does out."""
