"""Stands in for the hub's own commands, so that the supervisor is tested by itself: `python -m stub web`."""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Ready(BaseHTTPRequestHandler):
    """Answers /health/ready, and everything else, by 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main(command: str, *words: str) -> None:
    told = {key: os.environ[key] for key in ("DATABASE_URL", "REDIS_URL", "HUB_KEYS", "PUBLIC_URL", "PORT", "DEMO")}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if command in os.environ.get("STUB_FAILS", "").split():
        print("Traceback of a failure")
        sys.exit(f"{command} has a bad day")
    if command == "demo":
        logins = [{"email": "sara@clinic.test", "password": "pass", "name": "سارة", "role": "admin", "tenant": "A"}]
        Path(words[1]).write_text(json.dumps({"logins": logins, "told": told}))
    elif command == "web":
        HTTPServer(("127.0.0.1", int(told["PORT"])), Ready).serve_forever()
    elif command == "worker":
        time.sleep(600)


main(*sys.argv[1:])
