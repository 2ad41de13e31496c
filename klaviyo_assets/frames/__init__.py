"""Tables as frames for downstream assets."""
