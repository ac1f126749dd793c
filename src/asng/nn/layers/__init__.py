"""Searchable twins of torch's layers."""
