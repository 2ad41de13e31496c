"""The assets: what each one is in Dagster, and the ops that compute several of them at once. What an op does when it runs is in ``ops/``."""
