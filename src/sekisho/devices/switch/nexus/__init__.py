"""Cisco Nexus (NX-OS): steps in, a tree or commands out; what the switch says in, a State out."""
