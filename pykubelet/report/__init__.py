"""What goes back to the API server: Pod status, node status, lease, events."""
