"""A shop's assets."""
