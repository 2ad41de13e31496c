"""Field rules: fields that are dropped or hashed before anything is stored.

``rules`` parses them, ``apply`` applies them to a frame, just before ``staging`` writes it; ``load.rewrites.reapply_rules`` rewrites rows that were
stored under other rules. To erase a person, see ``erasure``.
"""
