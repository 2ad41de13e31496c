"""State between syncs: coverage, account, locks and other bookkeeping, most of it in tables with names that begin with an underscore.

``bookkeeping_store`` is the base of the tables: ``coverage_store``, ``sync_log``, ``requested_rereads``, ``tombstones``, ``field_rule_log``,
``null_rate_log`` and ``schema_version`` and others each declare one and are the only code that writes it. ``coverage`` decides which windows are
read again, since records may arrive late; it and ``days`` do no I/O. ``identity`` and ``account`` limit a schema to one Klaviyo account; ``locks``
allow one sync per type. ``layout_migration`` upgrades older schemas to the current layout. ``table_fingerprint``, ``lost_bookkeeping`` and
``bookkeeping_copy`` detect what other programs changed.
"""
