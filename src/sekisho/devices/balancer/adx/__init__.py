"""Brocade ServerIron ADX, one box or a pair: Balancers in, SOAP calls out; status and statistics back."""
