"""Tenants, their staff and patients, and how staff and integrations prove who they are."""
