"""Plain data: what is desired, what is observed, what to do. No I/O."""
