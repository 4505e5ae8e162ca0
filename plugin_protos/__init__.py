"""What storage and device plugins speak, as .proto of our own writing, and the modules generated from it."""
