"""An OpenAI-like server of the tests' own, which can misbehave in every way that they ask for."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

GOOD = '{"label": "normal", "rationale": "A friendly greeting."}'


def completion(text: str | None = GOOD, **message: Any) -> dict[str, Any]:
    finish_reason = message.pop("finish_reason", "stop")
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text, **message}}
    return {"choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}


Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(text: str | None = GOOD, *, latency_seconds: float = 0.0, **message: Any) -> Behaviour:
    async def behave(request: web.Request) -> web.StreamResponse:
        if latency_seconds:
            await asyncio.sleep(latency_seconds)
        return web.json_response(completion(text, **message))

    return behave


def status(code: int, body: Any = None, **headers: str) -> Behaviour:
    async def behave(request: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body or {"error": {"message": "no"}})
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, text=text, content_type="application/json", headers=named)

    return behave


def raw(body: str) -> Behaviour:
    async def behave(request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, content_type="application/json")

    return behave


async def stalls(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.json_response(completion())


async def stalls_half_way(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "500", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    await asyncio.sleep(30)
    return response


async def truncates(request: web.Request) -> web.StreamResponse:
    body = json.dumps(completion()).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@dataclass
class Loopback:
    """`script` is worked off a request at a time; its last behaviour stays."""

    script: list[Behaviour]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        behave = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.times.append(asyncio.get_running_loop().time())
        self.headers.append(dict(request.headers))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self.bodies.append(await request.json())
            return await behave(request)
        finally:
            self.in_flight -= 1


@asynccontextmanager
async def loopback(*script: Behaviour) -> AsyncIterator[Loopback]:
    server = Loopback(list(script) or [says()])
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()
