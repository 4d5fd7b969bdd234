"""A chat endpoint of the tests' own, on loopback: slow enough to be killed in the middle, and it counts."""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

from aiohttp import web


def make_app(log: Path, delay_seconds: float) -> web.Application:
    """Answers every request with the label that the post's text names, any other choice by the messages' checksum, and
    appends a line to `log`. While there is a file beside it that ends in `.hold`, only as many are answered as it says."""
    hold = log.with_suffix(".hold")

    async def complete(request: web.Request) -> web.Response:
        import asyncio

        body = await request.json()
        with log.open("a") as stream:
            stream.write(json.dumps(body["messages"]) + "\n")
        if hold.exists() and len(log.read_text().splitlines()) > int(hold.read_text()):
            await asyncio.Event().wait()
        await asyncio.sleep(delay_seconds)
        label = "offensive" if "rude" in json.dumps(body["messages"][-1]) else "ok"
        schema = body["response_format"]["json_schema"]["schema"]
        values = {
            "label": label,
            "confidence": 0.9,
            "reason": "It says so.",
            "rationale": "It says so.",
            "reasoning": "So.",
        }
        dice = zlib.crc32(json.dumps(body["messages"]).encode())
        content = json.dumps(
            {name: fitting(values.get(name, "x"), part, dice) for name, part in schema["properties"].items()}
        )
        return web.json_response(
            {
                "choices": [{"message": {"content": content}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10},
            }
        )

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    return app


def fitting(value: Any, schema: dict[str, Any], dice: int) -> Any:
    """The value, or where the schema names its choices and it is none of them, one of those."""
    choices = schema.get("enum", [value])
    return value if value in choices else choices[dice % len(choices)]


async def announce(app: web.Application) -> None:
    """Print the address once the server listens."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)


if __name__ == "__main__":
    import asyncio

    loop = asyncio.new_event_loop()
    loop.run_until_complete(announce(make_app(Path(sys.argv[1]), float(sys.argv[2]))))
    loop.run_forever()
