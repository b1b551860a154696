"""The hub on one machine: its own PostgreSQL and Valkey, then web and worker, under one supervisor."""
