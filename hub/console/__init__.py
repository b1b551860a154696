"""The way in for people: pages rendered here, live where it matters."""
