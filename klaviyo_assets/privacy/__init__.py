"""Field rules: fields that are dropped or hashed before anything is stored.

``rules`` parses them, ``apply`` applies them to a frame. ``sync.prepare_rows`` calls it for new rows, just before they are written to a file;
``load.rewrites.reapply_rules`` rewrites rows that were stored under other rules. To erase a person, see ``erasure``.
"""
