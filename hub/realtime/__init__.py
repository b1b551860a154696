"""The way out to open browsers: knows sockets, Redis and people's ids; never a clinic, never the database."""
