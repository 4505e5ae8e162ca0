"""The ruleset as iptables has it: a few chains for each ServicePort, found by the address that is called."""
