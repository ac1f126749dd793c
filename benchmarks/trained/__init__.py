"""What becomes of trained models: see `importance.py`."""
