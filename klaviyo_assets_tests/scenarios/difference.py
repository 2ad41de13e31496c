"""What a life has shown to be wrong."""


class Difference(AssertionError):
    """The table does not hold what Klaviyo showed."""
