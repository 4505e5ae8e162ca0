"""Pure decisions: Services and endpoints in, ruleset and differences out."""
