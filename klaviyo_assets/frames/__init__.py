"""Tables as frames, for assets of the user's own that have ours as inputs. ``io_manager.py`` reads them.

``kinds`` are the supported types of frames, ``lazy`` reads a lazy frame, ``input_selection`` decides which columns and partitions are read,
``published`` finds the published copy, and ``explained`` converts errors.
"""
