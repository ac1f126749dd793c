"""What lies in a run folder: names, files, logs, checkpoints, locks."""
