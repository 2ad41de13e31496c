"""The error of a scenario that finds a wrong table."""


class Difference(AssertionError):
    """The table differs from Klaviyo's records."""
