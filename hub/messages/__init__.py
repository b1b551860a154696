"""What leaves the building: composed, sent once, followed to the end."""
