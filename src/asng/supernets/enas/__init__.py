"""The paper's cells."""
