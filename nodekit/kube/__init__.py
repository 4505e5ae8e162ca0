"""The only API-server I/O of both agents."""
