"""The bench still works."""
