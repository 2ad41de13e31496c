"""Personal data: fields that are dropped or hashed before anything is stored, and people who are erased."""
