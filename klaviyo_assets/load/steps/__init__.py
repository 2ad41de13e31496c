"""The steps of a sync's database work, each in its own transactions: the beginning, the comparison with complete reads, the swap of a full read."""
