"""Audit: compare Klaviyo's own counts of events with the table. What arrived too late for every lookback age is found and read again."""
