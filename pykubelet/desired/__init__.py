"""What the API server and the static Pod folder ask of this node."""
