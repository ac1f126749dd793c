"""Truth tables of two small spaces: every network trained alone, and what searches find in them."""
