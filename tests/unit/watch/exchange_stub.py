"""An exchange on 127.0.0.1: answers by path with small replies of the venues' shapes, and remembers what was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

import ccxt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


class ExchangeStub:
    """Serves ``replies`` by path: a JSON value, a ``(status, JSON value)``, or a ``(status, text)`` that is no JSON.

    A function instead is called with the query and the body of the request, and returns one of these.
    """

    def __init__(self, replies: Mapping[str, Any]) -> None:
        self.replies = dict(replies)
        self.asked: list[tuple[str, str]] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.answer()

            def answer(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                parts = urlsplit(self.path)
                stub.asked.append((self.command, parts.path))
                reply = stub.replies.get(parts.path, (404, {"code": -5000, "msg": f"Path {parts.path} is invalid"}))
                if callable(reply):
                    reply = reply(dict(parse_qsl(parts.query)), sent)
                status, content = reply if isinstance(reply, tuple) else (200, reply)
                body = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                kind = "text/html" if isinstance(content, str) else "application/json"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Keep the tests' output quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def client(self, exchange_id: str, **settings: Any) -> Any:
        """Return a real exchange of ccxt whose every address leads here; it paces nothing and holds a dummy key."""
        options = {"fetchCurrencies": False, "fetchMargins": False} | settings.pop("options", {})
        dummy = {"apiKey": "dummy-key", "secret": "dummy-secret"}
        exchange = getattr(ccxt, exchange_id)(
            {"enableRateLimit": False, "timeout": 5_000, "options": options} | dummy | settings
        )
        exchange.has["fetchCurrencies"] = False
        exchange.urls["api"] = self._here(exchange.urls["api"], exchange)
        return exchange

    def _here(self, urls: Any, exchange: Any) -> Any:
        if isinstance(urls, dict):
            return {name: self._here(url, exchange) for name, url in urls.items()}
        return self.address + urlsplit(urls.replace("{hostname}", "host.invalid")).path
