"""Django Channels doing what the hub's live path does, as its documentation shows: a row by the ORM, a `group_send`.

Runs in an environment of its own (`requirements.txt`), so nothing of the hub is imported here.
"""
