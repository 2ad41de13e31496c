"""Field rules: fields that are dropped or hashed before anything is stored.

``rules`` parses them, ``apply`` applies them to a frame: to new rows in ``staging.staging``, just before a file is written;
``load.rewrites.reapply_rules`` rewrites rows that were stored under other rules. To erase a person, see ``erasure``.
"""
