"""Compression of trained models, and budgets that hold."""
