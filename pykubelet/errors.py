"""The errors this agent raises, by what a caller can do about them."""
