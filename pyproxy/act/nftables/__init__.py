"""The ruleset in nf_tables, by netlink."""
