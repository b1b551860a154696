"""How the harness that compares WebSocket servers runs this one; `python -m bench.peers` shows it this folder."""
