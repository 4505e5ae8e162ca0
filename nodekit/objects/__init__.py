"""API objects that both agents read or write, as frozen structs. No I/O."""
