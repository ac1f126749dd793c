"""Trained models and budgets: see `latency_budget.py`."""
