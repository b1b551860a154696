"""Appointments: booked over the API, arriving at the desk, shown on the arrivals board."""
