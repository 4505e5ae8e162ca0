"""What the API server asks: change trackers for Services and EndpointSlices."""
