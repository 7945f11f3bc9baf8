"""SGLang's server as a program, as its documentation and its source tell it: its flags and no others, its
key, its /health that says 503 until the model is there, and the shape of its streams. Run as a script;
standard library only. The environment's SGL_FAKE is a script: ready | dies | late."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

KIND = os.environ.get("SGL_FAKE", "ready")
OPEN, CLOSE = "<think>", "</think>"
THOUGHT = ["\nThe", " user", " asks", " for", " a", " capital", ".\n"]
ANSWER = ["\n\nThe", " capital", " is", " Paris", "."]
# The prompt's tokens, and how many of them were there already.
PROMPT, CACHED = 20, 16


def flags(given: list[str]) -> argparse.Namespace:
    """A flag that the real one does not know ends it, and so it does here."""
    parser = argparse.ArgumentParser("sglang serve", allow_abbrev=False)
    for name in ("model-path", "served-model-name", "host", "api-key", "dtype", "kv-cache-dtype",
                 "reasoning-parser", "tool-call-parser", "quantization", "attention-backend"):  # fmt: skip
        parser.add_argument(f"--{name}")
    for name in ("port", "context-length", "max-running-requests", "tp-size", "pp-size"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--mem-fraction-static", type=float)
    parser.add_argument("--enable-cache-report", action="store_true")
    parser.add_argument("--disable-radix-cache", action="store_true")
    return parser.parse_args(given)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/health":  # asked for without a key, too
            return self._json({}, 200 if time.monotonic() > self.server.ready else 503)
        if not self._let_in():
            return None
        entry = {"id": "model", "object": "model", "max_model_len": self.server.flags.context_length or 4096}
        return self._json({"object": "list", "data": [entry]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._let_in():
            assert self.path == "/v1/chat/completions" and body["stream"] and body["model"] == "model"
            self._stream(body)

    def _let_in(self) -> bool:
        known = self.headers.get("Authorization") == f"Bearer {self.server.flags.api_key}"
        if not known:
            self._json({"error": "Unauthorized"}, 401)
        return known

    def _stream(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        last = body["messages"][-1]
        before = last["content"] if body.get("continue_final_message") and last["role"] == "assistant" else ""
        self._delta({"role": "assistant", "content": ""})
        field, at, count = "content", 0, 0
        for token in [OPEN, *THOUGHT, CLOSE, *ANSWER]:
            new, at = token[max(0, len(before) - at) :], at + len(token)
            if token in (OPEN, CLOSE) and self.server.flags.reasoning_parser:
                # Its parser knows of a text to go on from whether that ends within the thought.
                field, new = ("reasoning_content" if token == OPEN else "content"), ""
            if KIND == "dies" and not before and count == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            if new:
                self._delta({field: new})
                count += 1
        self._delta({}, "stop")
        details = {"cached_tokens": CACHED} if self.server.flags.enable_cache_report else None
        usage = {"prompt_tokens": PROMPT, "completion_tokens": count, "prompt_tokens_details": details}
        self._chunk({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _delta(self, delta: dict[str, Any], reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, "matched_stop": None}
        self._chunk({"choices": [choice]})

    def _chunk(self, chunk: dict[str, Any]) -> None:
        data = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "model", **chunk}
        self.wfile.write(b"data: " + json.dumps(data).encode() + b"\n\n")
        self.wfile.flush()

    def _json(self, value: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, given: argparse.Namespace) -> None:
        self.flags = given
        self.ready = time.monotonic() + (0.5 if KIND == "late" else 0.0)
        super().__init__((given.host, given.port), Handler)


def main() -> None:
    assert sys.argv[1] == "serve", sys.argv
    given = flags(sys.argv[2:])
    for flag in vars(given).items():
        print("flag " + json.dumps(flag), flush=True)
    print("[2026-01-01 00:00:00] Load weight begin. avail mem=70.00 GB", flush=True)
    print("Loading safetensors checkpoint shards:  50% Completed | 1/2", flush=True)
    print("[2026-01-01 00:00:01] Load weight end. type=LlamaForCausalLM, avail mem=69.00 GB", flush=True)
    print("[2026-01-01 00:00:02] KV Cache is allocated. #tokens: 4096", flush=True)
    with Server(given) as server:
        print("[2026-01-01 00:00:03] The server is fired up and ready to roll!", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
