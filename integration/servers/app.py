# SPDX-License-Identifier: MIT
"""A WSGI application: /bytes/N, /chunked/N, /sum, and its Tornado and
Twisted twins when it is run as a program (app.py KIND PORT)."""
import hashlib
import random
import sys


def some_bytes(count):
    return random.Random(count).randbytes(count)


def app(environ, start):
    words = environ["PATH_INFO"].strip("/").split("/")
    if words[0] == "sum":
        data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        out = [f"{hashlib.sha256(data).hexdigest()} {len(data)}\n".encode()]
    elif words[0] in ("bytes", "chunked"):
        data = some_bytes(int(words[1]))
        step = len(data) + 1 if words[0] == "bytes" else 7001
        out = [data[i:i + step] for i in range(0, len(data), step)]
    else:
        start("404 Not Found", [("Content-Length", "0")])
        return []
    size = [] if words[0] == "chunked" else [
        ("Content-Length", str(sum(map(len, out))))]
    start("200 OK", [("Content-Type", "application/octet-stream")] + size)
    return iter(out)


def run_tornado(port):
    import tornado.ioloop
    import tornado.web

    class Bytes(tornado.web.RequestHandler):
        def get(self, count):
            self.write(some_bytes(int(count)))

    class Chunked(tornado.web.RequestHandler):
        async def get(self, count):
            data = some_bytes(int(count))
            for at in range(0, len(data), 7001):
                self.write(data[at:at + 7001])
                await self.flush()

    class Sum(tornado.web.RequestHandler):
        def post(self):
            data = self.request.body
            self.write(f"{hashlib.sha256(data).hexdigest()} {len(data)}\n")

    tornado.web.Application([
        (r"/bytes/(\d+)", Bytes), (r"/chunked/(\d+)", Chunked),
        (r"/sum", Sum)]).listen(port, "127.0.0.1")
    tornado.ioloop.IOLoop.current().start()


def run_twisted(port):
    from twisted.internet import reactor
    from twisted.web import resource, server

    class Root(resource.Resource):
        isLeaf = True

        def render_GET(self, request):
            words = request.path.decode().strip("/").split("/")
            return some_bytes(int(words[1]))

        def render_POST(self, request):
            data = request.content.read()
            return (f"{hashlib.sha256(data).hexdigest()} "
                    f"{len(data)}\n").encode()

    reactor.listenTCP(port, server.Site(Root()), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    globals()["run_" + sys.argv[1]](int(sys.argv[2]))
