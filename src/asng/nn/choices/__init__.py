"""Modules that choose among others."""
