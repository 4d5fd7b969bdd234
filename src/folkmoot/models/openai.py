"""Any OpenAI-compatible endpoint (vLLM, SGLang, Ollama, llama.cpp, a vendor) over plain async HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from folkmoot.models.chat import Completion, Message, Sampling, Schema, Usage
from folkmoot.models.faults import Fault
from folkmoot.models.limits import Limits, Turnstile
from folkmoot.models.retries import Retries, retry_after_seconds
from folkmoot.models.token_estimate import dearest_usage
from folkmoot.models.witness import NoWitness, Witness
from folkmoot.records import BadInput, CallFailed, EndpointDown

log = logging.getLogger(__name__)

KEY_VARIABLES = ("FOLKMOOT_API_KEY", "OPENAI_API_KEY")
CONNECT_SECONDS = 10.0
"""How long to wait for a connection (chosen); a reply may take `timeout_seconds`."""

OVERLOAD_STATUSES = frozenset({429, 503, 529})
RETRY_STATUSES = frozenset({408, 409, 425})
"""With 5xx: what may go better next time. 409 is a lock timeout in the OpenAI convention."""

PLAIN_CODE = re.compile(r"[\w.-]{1,64}")
"""What an error's code or type may look like to be repeated; its message may echo the post or the key."""

OPTIONAL_FIELDS = ("temperature", "top_p", "seed", "frequency_penalty")


class OpenAIModel:
    """A ChatModel behind an HTTP endpoint, on one shared session.

    Calls pass a turnstile (`Limits`), are retried (`Retries`) and time out when the endpoint stalls. A refusal comes
    back as a Completion. The key is taken from `api_key`, else FOLKMOOT_API_KEY, else OPENAI_API_KEY; it goes into
    one header and nowhere else. What the endpoint says in an error is not repeated, only its code: it may echo the
    post.

    Args:
        name: the model as the endpoint knows it; with the messages, the identity of a call.
        url: where the API starts, such as `http://localhost:8000/v1`; `/v1` is added to a bare address.
        timeout_seconds: for one try, from sending to the last byte.
        extra: more fields of the request's body, for what one server alone understands. Not part of a call's key.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        api_key: str | None = None,
        limits: Limits = Limits(),
        retries: Retries = Retries(),
        timeout_seconds: float = 120.0,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if not name:
            raise BadInput("An endpoint's model needs a name, as in 'openai:NAME@URL'; the name is empty.")
        self._name = name
        self._url = completions_url(url)
        self._address = str(self._url.with_query(None).with_user(None))
        self._api_key = api_key or next((key for key in map(os.environ.get, KEY_VARIABLES) if key), None)
        if self._api_key is not None and not (self._api_key.isascii() and self._api_key.isprintable()):
            raise BadInput("The API key holds a line break or a character outside ASCII; check how it was copied.")
        self._retries = retries
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(CONNECT_SECONDS, timeout_seconds))
        self._timeout_seconds = timeout_seconds
        self._extra = dict(extra or {})
        self._turnstile = Turnstile(limits)
        self._chance = random.Random()
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answered = False
        self._succeeded = False
        self._formats: dict[int, tuple[Schema, dict[str, Any]]] = {}
        self._max_tokens_field = "max_tokens"
        self._unsupported: set[str] = set()

    def __repr__(self) -> str:
        return f"OpenAIModel({self._name!r}, {self._address!r})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def allowed_concurrency(self) -> int:
        """Calls that may be in flight at once right now; adapts to the endpoint."""
        return int(self._turnstile.allowed)

    async def complete(
        self, messages: Sequence[Message], schema: Schema | None = None, sampling: Sampling = Sampling()
    ) -> Completion:
        """The endpoint's reply.

        Raises:
            CallFailed: every try failed; other calls may work.
            EndpointDown: nobody answers and nobody ever has, the endpoint refuses every call, or the quota is used up.
        """
        return await self.complete_witnessed(messages, schema, sampling, NoWitness())

    async def complete_witnessed(
        self, messages: Sequence[Message], schema: Schema | None, sampling: Sampling, witness: Witness
    ) -> Completion:
        """As `complete`; the witness is told of each try as it leaves and as it fails."""
        turnstile, tokens, tries = self._turnstile, 0, 0
        if turnstile.counts_tokens:
            dearest = dearest_usage(messages, schema, sampling)
            tokens = dearest.prompt_tokens + dearest.completion_tokens
        while True:
            body = self._body(messages, schema, sampling)
            epoch = await turnstile.enter(tokens)
            fault: Fault | None = None
            completion: Completion | None = None
            unused = 0
            try:
                witness.sent()
                completion = await self._send(body)
                unused = tokens - completion.usage.prompt_tokens - completion.usage.completion_tokens
            except Fault as found:
                fault = found
            finally:
                turnstile.leave(
                    epoch,
                    unused_tokens=unused,
                    succeeded=completion is not None,
                    overloaded=fault is not None and fault.overload,
                    pause_seconds=self._pause_seconds(fault),
                )
            if completion is not None:
                return completion
            assert fault is not None
            witness.failed(fault.sentence)
            if self._adapted(fault):
                continue
            tries += 1
            await self._wait_or_give_up(fault, tries)

    async def aclose(self) -> None:
        """Nothing; the connections are closed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _body(self, messages: Sequence[Message], schema: Schema | None, sampling: Sampling) -> bytes:
        body: dict[str, Any] = {
            "model": self._name,
            "messages": messages if isinstance(messages, list) else list(messages),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._max_tokens_field: sampling.max_tokens,
            "seed": sampling.seed,
        }
        if sampling.frequency_penalty:
            body["frequency_penalty"] = sampling.frequency_penalty
        for field in self._unsupported:
            body.pop(field, None)
        if schema is not None:
            body["response_format"] = self._response_format(schema)
        if self._extra:
            body |= self._extra
        return json.dumps(body, separators=(",", ":")).encode("ascii")

    def _response_format(self, schema: Schema) -> dict[str, Any]:
        # A schema is the same object for all posts, so its strictness is looked at once.
        known = self._formats.get(id(schema))
        if known is None:
            if len(self._formats) >= 64:
                self._formats.clear()
            form = {"name": "reply", "strict": is_strict(schema), "schema": schema}
            known = self._formats[id(schema)] = (schema, {"type": "json_schema", "json_schema": form})
        return known[1]

    def _open_session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            headers = {"Content-Type": "application/json"}
            if self._api_key is not None:
                headers["Authorization"] = f"Bearer {self._api_key}"
            # The proxy is looked up once: aiohttp's `trust_env` does it for every call.
            proxy = None if proxy_bypass(self._url.host or "") else getproxies().get(self._url.scheme)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=headers,
                timeout=self._timeout,
                proxy=None if is_loopback(self._url) else proxy,
            )
            self._loop = loop
        return self._session

    async def _send(self, body: bytes) -> Completion:
        """One try. Raises Fault; nothing of aiohttp's own errors is kept, they may show headers and addresses."""
        try:
            async with self._open_session().post(self._url, data=body, allow_redirects=False) as response:
                self._answered = True
                content = await response.read()
                status, headers = response.status, response.headers
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            raise Fault("the TLS connection failed; check its certificate", unreachable=True, hopeless=True) from None
        except aiohttp.ClientConnectorDNSError:
            raise Fault("its host name does not resolve", unreachable=True) from None
        except aiohttp.ClientConnectorError as error:
            reason = (error.os_error.strerror or "").split(" [")[0].lower() or "no connection"
            if "connect call failed" in reason:  # asyncio's own words, with the address
                reason = os.strerror(error.os_error.errno).lower() if error.os_error.errno else "no connection"
            raise Fault(reason, unreachable=True) from None
        except aiohttp.ConnectionTimeoutError:
            raise Fault("no connection in time", unreachable=True) from None
        except TimeoutError:
            raise Fault(f"no complete reply in {self._timeout_seconds:g} seconds") from None
        except aiohttp.ServerDisconnectedError:
            raise Fault("it closed the connection without a reply") from None
        except aiohttp.ClientPayloadError:
            raise Fault("the reply's body was cut off") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Fault(f"the exchange broke off ({type(error).__name__})") from None
        if status == 200:
            return self._completion(content)
        return self._not_ok(status, headers, content)

    def _completion(self, content: bytes) -> Completion:
        try:
            reply = json.loads(content)
        except (ValueError, RecursionError):
            raise Fault("the reply's body is not valid JSON") from None
        try:
            choice = reply["choices"][0]
            message = choice["message"]
            text = message.get("content")
            refusal = message.get("refusal")
            finish_reason = choice.get("finish_reason")
            usage = reply.get("usage") or {}
            counted = Usage(
                prompt_tokens=usage.get("prompt_tokens") or 0, completion_tokens=usage.get("completion_tokens") or 0
            )
            if isinstance(text, list):  # some servers answer in content parts
                text = "".join(part.get("text") or "" for part in text)
        except (LookupError, TypeError, AttributeError, ValueError):
            code = _code(reply)
            raise Fault(f"the reply is not a chat completion{f' but an error, {code}' if code else ''}") from None
        if not isinstance(text, str | None) or not isinstance(refusal, str | None):
            raise Fault("the reply is not a chat completion: its content is not text")
        self._succeeded = True
        return Completion(
            text=text or "",
            model=self._name,
            finish_reason=finish_reason if isinstance(finish_reason, str) else "stop",
            refusal=refusal or None,
            usage=counted,
        )

    def _not_ok(self, status: int, headers: Mapping[str, str], content: bytes) -> Completion:
        """A refusal told as an HTTP error (Azure's content filter); every other status raises Fault."""
        try:
            reply = json.loads(content)
        except (ValueError, RecursionError):
            reply = None
        code = _code(reply)
        if status == 400 and code in ("content_filter", "content_policy_violation"):
            return Completion(model=self._name, finish_reason="content_filter", refusal="content_filter")
        hopeless = code == "insufficient_quota" or (status in (401, 404) and not self._succeeded)
        raise Fault(
            f"HTTP {status}" + (f", {code}" if code else ""),
            status=status,
            final=status < 500 and status not in OVERLOAD_STATUSES | RETRY_STATUSES,
            overload=status in OVERLOAD_STATUSES and not hopeless,
            hopeless=hopeless,
            retry_after=retry_after_seconds(headers),
            parameter=_parameter(reply) if status == 400 else None,
        )

    def _pause_seconds(self, fault: Fault | None) -> float:
        if fault is None or fault.retry_after is None or fault.retry_after > self._retries.retry_after_limit_seconds:
            return 0.0
        return fault.retry_after

    def _adapted(self, fault: Fault) -> bool:
        """Whether the request can be said in another way: newer models refuse `max_tokens` and sampling fields."""
        field = fault.parameter
        if field == "max_tokens" and self._max_tokens_field == field:
            self._max_tokens_field = "max_completion_tokens"
        elif field in OPTIONAL_FIELDS and field not in self._unsupported:
            self._unsupported.add(field)
        else:
            return False
        log.warning("%s does not take '%s'; going on without it", self._name, field)
        return True

    async def _wait_or_give_up(self, fault: Fault, tries: int) -> None:
        retries = self._retries
        if fault.unreachable and (fault.hopeless or not self._answered):
            if fault.hopeless or tries >= min(retries.connect_tries, retries.tries):
                raise EndpointDown(
                    f"Asking '{self._name}': nobody answers at {self._address} ({fault.sentence}; {_count(tries)}). "
                    "Start the server there or correct the address in 'openai:NAME@URL'."
                )
        elif fault.hopeless:
            raise EndpointDown(f"Asking '{self._name}': {self._address} refuses every call ({fault.sentence}). "
                               + REMEDIES.get(fault.status, "Check the account's quota."))  # fmt: skip
        limit = retries.overload_tries if fault.overload else retries.tries
        too_long = fault.retry_after is not None and fault.retry_after > retries.retry_after_limit_seconds
        if fault.final or too_long or tries >= limit:
            asked = f"; it asks to wait {fault.retry_after:.0f} seconds" if too_long else ""
            raise CallFailed(
                f"Asking '{self._name}' at {self._address} failed: {fault.sentence}{asked} ({_count(tries)})."
                + (" The request itself is not accepted: is it too long, or are images not supported?"
                   if fault.status in (400, 413, 422) else "")
            )  # fmt: skip
        await asyncio.sleep(retries.wait_seconds(tries, retry_after=fault.retry_after, chance=self._chance))


REMEDIES = {
    401: "Set FOLKMOOT_API_KEY to a key that it accepts.",
    404: "It knows no such model or path: correct 'openai:NAME@URL'.",
}


def completions_url(url: str) -> URL:
    """Where completions are asked for, from where the API starts: `/v1` is added to a bare address.

    >>> str(completions_url("http://localhost:8000"))
    'http://localhost:8000/v1/chat/completions'

    Raises:
        BadInput: it is not an http(s) address.
    """
    try:
        parsed = URL(url.strip())
    except ValueError:
        parsed = URL()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadInput("An endpoint's address starts with http:// or https:// and names a host, such as "
                       "http://localhost:8000/v1; the one given does not.")  # fmt: skip
    path = parsed.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path = (path or "/v1") + "/chat/completions"
    return parsed.with_path(path, keep_query=True)


def is_loopback(url: URL) -> bool:
    """Whether the address is this machine's own, which no proxy can reach."""
    host = url.host or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def is_strict(schema: Schema) -> bool:
    """Whether every object of a schema is closed and complete, as OpenAI's strict mode demands."""
    if "properties" in schema:
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(schema["properties"]):
            return False
    elif schema.get("type") == "object":
        return False
    parts: list[Any] = list(schema.get("properties", {}).values()) + list(schema.get("$defs", {}).values())
    parts += [*schema.get("anyOf", ()), *schema.get("prefixItems", ()), schema.get("items")]
    return all(is_strict(part) for part in parts if isinstance(part, dict))


def _count(tries: int) -> str:
    return f"{tries} tries" if tries != 1 else "1 try"


def _error(reply: Any) -> dict[str, Any]:
    error = reply.get("error", reply) if isinstance(reply, dict) else None
    return error if isinstance(error, dict) else {}


def _code(reply: Any) -> str | None:
    """The error's code, else its type; None where it has neither or they look like prose."""
    error = _error(reply)
    for name in ("code", "type"):
        found = error.get(name)
        if isinstance(found, str) and PLAIN_CODE.fullmatch(found):
            return found
    return None


def _parameter(reply: Any) -> str | None:
    if _code(reply) not in ("unsupported_parameter", "unsupported_value"):
        return None
    found = _error(reply).get("param")
    return found if isinstance(found, str) else None
