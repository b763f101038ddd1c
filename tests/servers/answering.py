"""A server that speaks OpenAI's API and has no model: one token "x" every DECODE_MS, each in a chunk of its own.

answering.py PORT DECODE_MS [CHILDREN [FAIL_ON]]: with CHILDREN it starts as many processes that compute, half of them in sessions
of their own; with FAIL_ON a request is answered with 503 whose prompt holds that text.
"""

import http.server
import json
import os
import subprocess
import sys
import threading
import time

PORT, DECODE_MS = int(sys.argv[1]), float(sys.argv[2])
CHILDREN = int(sys.argv[3]) if len(sys.argv) > 3 else 0
FAIL_ON = sys.argv[4] if len(sys.argv) > 4 else None
BUSY = "while True: pass"

# Requests that are answered, and all tokens of prompts so far.
running, prompted, counting = 0, 0, threading.Lock()

for child in range(CHILDREN):
    subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=child % 2 == 1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document):
        self.page(json.dumps(document), status, "application/json")

    def page(self, text, status=200, kind="text/plain"):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {"status": "ok"})
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": "nothing", "object": "model"}]})
        elif self.path == "/metrics":
            self.page(
                f'vllm:num_requests_running{{engine="0"}} {running}\n'
                'vllm:num_requests_waiting{engine="0"} 0\n'
                f'vllm:prefix_cache_queries_total{{engine="0"}} {prompted}\n'
            )
        elif self.path == "/environment":
            self.answer(200, dict(os.environ))
        else:
            self.answer(404, {"error": {"message": "there is no such page"}})

    def do_POST(self):
        global running
        with counting:
            running += 1
        try:
            self.complete()
        finally:
            with counting:
                running -= 1

    def complete(self):
        global prompted
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = os.environ.get("EXPECTED_KEY")
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            return self.answer(401, {"error": {"message": "the key is missing or wrong"}})
        if FAIL_ON and FAIL_ON in json.dumps(request):
            return self.answer(503, {"error": {"message": "too much to do"}})
        most = request.get("max_tokens", 16)
        # Without being asked to go on it ends after three tokens, as a model does that has said all.
        tokens = most if request.get("ignore_eos") else min(most, 3)
        text = json.dumps(request.get("messages") or request.get("prompt"))
        usage = {"prompt_tokens": len(text.split()), "prompt_tokens_details": {"cached_tokens": 0}}
        with counting:
            prompted += usage["prompt_tokens"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for token in range(1, tokens + 1):
            time.sleep(DECODE_MS / 1000)
            reason = None if token < tokens else "length" if tokens == most else "stop"
            choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": reason}
            self.event({"choices": [choice], "usage": {**usage, "completion_tokens": token}})
        self.event({"choices": [], "usage": {**usage, "completion_tokens": tokens}})
        self.wfile.write(b"data: [DONE]\n\n")

    def event(self, document):
        self.wfile.write(f"data: {json.dumps(document)}\n\n".encode())
        self.wfile.flush()


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
