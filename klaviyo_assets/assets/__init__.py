"""The assets: what each one is in Dagster, and the ops that compute several of them at once. What an op does when it runs is in ``ops/``.

``resource_type_assets``, ``mart_assets`` and ``published_asset`` define one kind of asset each, ``partition_assets`` and ``mart_partition_assets``
those with partitions. ``op_settings`` has what all ops have in common, ``code_version`` the code version of an asset.
"""
