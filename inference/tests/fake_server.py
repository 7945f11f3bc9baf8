"""A server of completions as a program: what llama-server and vLLM understand of their flags, and faults on
demand. The script is named in the environment's GGML_FAKE: ready | never | dies | no-memory | bad-model |
floods | rubbish | deaf | grandchild. Run as a script; standard library only."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler

KIND = os.environ.get("GGML_FAKE", "ready")
ANSWER = ["The", " cap", "ital", " is", " Par", "is", "."]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "local"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/health":
            if KIND == "deaf" and self.server.deaf:  # type: ignore[attr-defined]
                time.sleep(3600)
            status = 503 if KIND == "never" else 200
            self._json({}, status)
        elif self.path == "/props":
            self._json(
                {"chat_template": "{{ x }}", "total_slots": 2, "default_generation_settings": {"n_ctx": 64}}
            )
        else:
            self._json({"data": [{"id": "model", "max_model_len": 64}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/apply-template":
            self._json({"prompt": "".join(f"<{m['role']}>{m['content']}" for m in body["messages"])})
        elif self.path == "/tokenize":
            pieces = (
                body["content"] if isinstance(body.get("content"), list) else [body.get("prompt", "xxxx")]
            )
            self._json({"tokens": [ord(letter) for piece in pieces for letter in piece][:40]})
        else:
            self._stream(body)

    def _stream(self, body: dict) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.server.deaf = True  # type: ignore[attr-defined]
        prompt = body.get("prompt") or []
        text = "".join(map(chr, prompt))
        done = next((n for n in range(len(ANSWER), 0, -1) if text.endswith("".join(ANSWER[:n]))), 0)
        for count, word in enumerate(ANSWER[done : done + body["max_tokens"]]):
            if KIND == "dies" and not done and count == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            if KIND == "rubbish" and count == 2:
                self.wfile.write(b"data: no json\n\n")
            self._chunk({"choices": [{"text": word, "finish_reason": None}]})
            if KIND == "deaf":
                time.sleep(3600)
        whole = len(ANSWER) - done <= body["max_tokens"]
        self._chunk({"choices": [{"text": "", "finish_reason": "stop" if whole else "length"}]})
        self._chunk({"choices": [], "usage": {"prompt_tokens": len(prompt), "completion_tokens": 7 - done}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, chunk: dict) -> None:
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.flush()

    def _json(self, value: dict, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    deaf = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Who hung up is no news: it would push what the server said out of its log."""


def main() -> None:
    flags = sys.argv[1:]
    print("llama_model_loader: loading model", flush=True)
    if KIND == "no-memory":
        print("ggml_backend_cpu_buffer_type_alloc_buffer: failed: Cannot allocate memory", flush=True)
        sys.exit(1)
    if KIND == "bad-model":
        print("error loading model: unknown model architecture: 'magic'", file=sys.stderr, flush=True)
        sys.exit(1)
    if KIND == "floods":
        os.write(2, b"x" * (8 << 20) + b"\n" + b"line\n" * 100_000)
    if KIND == "grandchild":
        # It leaves the session, and would outlive its parent.
        child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
        print(f"grandchild {child.pid}", flush=True)
    socket = flags[flags.index("--host" if "--host" in flags else "--uds") + 1]
    with Server(socket, Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
