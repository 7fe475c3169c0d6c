import json
import socket
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from prefect import flow

PORT = int(Path(__file__).with_name("port").read_text())


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"up 1")

    def log_message(self, *_: object) -> None:
        pass


class Server(HTTPServer):
    allow_reuse_address = True


SERVER = Server(("127.0.0.1", PORT), Metrics)


@flow
def main(out: str) -> None:
    Thread(target=SERVER.serve_forever, daemon=True).start()
    answer = urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=20).read().decode()
    SERVER.shutdown()
    listening = SERVER.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    Path(out, "seen.json").write_text(json.dumps({"answer": answer, "listening": listening}))
