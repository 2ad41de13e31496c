"""What ops do when they run: sync resource types, build marts, audit and publish. The definitions of the ops are in ``assets/``."""
