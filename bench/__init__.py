"""Measurements of the running hub: its real processes and servers, on one machine."""
