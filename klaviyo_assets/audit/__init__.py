"""Klaviyo's own counts of events against ours: what arrived too late for any settling age is found, and read again."""
