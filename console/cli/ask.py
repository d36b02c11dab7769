"""``claude-stream`` from the shell: the answer as it comes, or else the local analyst's."""

from __future__ import annotations

import sys
from pathlib import Path

from console.client import Connection
from console.wire import Answer, Ask


def ask(socket: Path, question: str) -> str:
    """Print the answer to standard output; returns the line that says whose it is and what it cost."""
    with Connection(socket, "cli", timeout_s=120.0) as watch:
        watch.send(Ask(1, question))
        local = ""
        is_streaming = False
        while True:
            message = watch.receive()
            if not isinstance(message, Answer):
                continue
            if message.replace and not local:
                local = message.text  # held back: the model's answer may take its place
            elif message.text:
                is_streaming = True
                sys.stdout.write(message.text)
                sys.stdout.flush()
            if message.done:
                if not is_streaming:
                    sys.stdout.write(local)
                sys.stdout.write("\n")
                return message.status
