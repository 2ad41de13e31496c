"""Marts: SQL models over the raw tables, built in the order of their dependencies, each in one short transaction.

:mod:`~klaviyo_assets.marts.library` reads the models, :mod:`~klaviyo_assets.marts.mart_runner` builds them.
"""
