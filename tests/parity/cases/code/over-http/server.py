from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

server = HTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory="."))
Path("port").write_text(str(server.server_port))
Path("ready").touch()
server.serve_forever()
