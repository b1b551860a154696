"""Notifications to staff, in the app: one numbered inbox per person."""
