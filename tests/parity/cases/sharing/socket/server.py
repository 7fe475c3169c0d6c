import itertools
import socketserver
import threading
from pathlib import Path

SESSIONS = itertools.count(1)


class Session(socketserver.StreamRequestHandler):
    """Says for each line how many lines this connection has sent; ``bye`` ends it for everybody who has it."""

    def handle(self) -> None:
        for number, line in enumerate(self.rfile, 1):
            if line == b"bye\n":
                return
            self.wfile.write(f"{line.decode().strip()} {number}\n".encode())


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
    threading.Thread(target=server.serve_forever).start()
    Path("port").write_text(str(server.server_address[1]))
    Path("ready").touch()
    threading.Event().wait()
