"""What ops do when they run. Their definitions are in ``assets/``.

``sync_op`` runs the step that syncs resource types, with one ``asset_sync`` for each type and a ``step_context`` that they share; ``partition_op``
reads selected days of events again.
``mart_op`` and ``mart_partition_op`` build marts, ``publish_op`` writes the published copy. ``complete_check`` runs the check ``complete`` (the
audit), and ``execute_hook`` calls the user's function around a step.
"""
