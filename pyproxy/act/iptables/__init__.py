"""The iptables programs: restore what is wanted, list what is there."""
