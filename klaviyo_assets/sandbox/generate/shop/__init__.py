"""The shop that an account belongs to: what it sells and sends, its customers, and what they do."""
