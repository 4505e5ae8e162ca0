"""What both agents serve over HTTP in the same way."""
