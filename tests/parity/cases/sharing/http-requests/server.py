from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Echo(BaseHTTPRequestHandler):
    """Answers with the path and with how many requests this connection has made, slowly."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.requests = 0

    def do_GET(self) -> None:
        self.requests += 1
        body = f"{self.path} {self.requests}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
Path("port").write_text(str(server.server_port))
Path("ready").touch()
server.serve_forever()
