"""Plain data: Services, endpoints, the ruleset as values. No I/O."""
