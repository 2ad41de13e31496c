"""A hostile network and a hostile machine: what is done to a sync, and what the tables hold after."""
