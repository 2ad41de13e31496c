"""Rewrites stored rows without a request to Klaviyo: for changed field rules and for new computed columns."""
