"""State between syncs: coverage, account, locks and the other bookkeeping, most of it in tables whose names begin with an underscore.

``coverage`` and ``days`` are pure; ``identity`` and ``pin`` say whose data a schema holds; ``rereads`` are days that a repair reads again;
``tombstones`` are hashes of erased ids; ``retention`` trims ``_syncs``; ``schema_version``, ``table_fingerprint``, ``lost_bookkeeping`` and
``bookkeeping_copy`` notice what other programs changed.
"""
