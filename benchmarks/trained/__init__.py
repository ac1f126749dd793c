"""What becomes of trained models, and budgets that hold."""
