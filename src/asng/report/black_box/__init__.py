"""The report of `asng.minimize`: its losses, the best of them, and theta."""
