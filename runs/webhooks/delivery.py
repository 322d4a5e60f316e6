"""Delivers the rows of the outbox: signed, with bounded tries, at least once (docs/webhooks.md)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from typing import Literal

from runs.engine import Engine
from runs.webhooks.addresses import PrivateAddress, resolve
from storage.database import now
from storage.tables import webhooks
from storage.tables.webhooks import Webhook

AT_ONCE = 8
MAX_TRIES = 8
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 3600.0
TIMEOUT_S = 10.0
Result = Literal["delivered", "failed", "refused"]
_log = logging.getLogger("runs.webhooks")


async def deliver_due(engine: Engine) -> int:
    """Try what is due once; returns how many rows were tried by this process."""
    if engine.settings.webhook_url is None:
        return 0
    async with engine.database.autocommit() as tx:
        found = await webhooks.due(tx, AT_ONCE + len(engine.unwritable))
    writable = [webhook for webhook in found if engine.unwritable.is_due(webhook.id)]
    return sum(await asyncio.gather(*(_try_alone(engine, webhook) for webhook in writable[:AT_ONCE])))


async def _try_alone(engine: Engine, webhook: Webhook) -> bool:
    """Try one row; where it cannot be written, the others are delivered past it."""
    try:
        is_tried = await _try(engine, webhook)
    except Exception:  # noqa: BLE001 recorded; it is tried again after a pause
        fields = {"action": "webhook_not_written", "session": webhook.session_id}
        _log.exception("a webhook could not be tried", extra=fields)
        engine.unwritable.note_failure(webhook.id)
        return False
    engine.unwritable.forget(webhook.id)
    return is_tried


async def _try(engine: Engine, webhook: Webhook) -> bool:
    wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 4.0**webhook.tries)
    async with engine.database.autocommit() as tx:
        if not await webhooks.claim(tx, webhook, wait_s + TIMEOUT_S):
            return False
    result = await _send(engine, webhook)
    engine.meters.delivered(result)
    if result == "delivered":
        is_over = True
    else:
        is_over = webhook.tries + 1 >= MAX_TRIES
        fields = {"action": "webhook_given_up" if is_over else "webhook_failed", "session": webhook.session_id}
        _log.warning("webhook is not delivered: %s", result, extra={**fields, "try": webhook.tries + 1})
    if is_over:
        async with engine.database.autocommit() as tx:
            await webhooks.remove(tx, webhook)
    return True


async def _send(engine: Engine, webhook: Webhook) -> Result:
    """Post one row to the address that was checked; a redirect is not followed."""
    import httpx  # with what it imports 60 ms of a start, which few servers need

    settings = engine.settings
    assert settings.webhook_url is not None
    url = httpx.URL(settings.webhook_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    body = webhook.payload.encode()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            address = await resolve(url.host, port, may_be_private=settings.webhook_allow_private)
            # The connection goes to that address; name and certificate are those of the receiver.
            request = httpx.Request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers={
                    "Host": url.netloc.decode("ascii"),
                    "Content-Type": "application/json",
                    "User-Agent": "codelab-agent-runtime",
                    **signature_headers(settings.webhook_secret or "", webhook.id, body, int(now().timestamp())),
                },
                extensions={"sni_hostname": url.host},
            )
            async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S) as client:
                response = await client.send(request, stream=True)
                await response.aclose()
    except PrivateAddress:
        return "refused"
    except (httpx.HTTPError, OSError, TimeoutError, UnicodeError):
        return "failed"
    return "delivered" if response.is_success else "failed"


def signature_headers(secret: str, webhook_id: str, body: bytes, timestamp: int) -> dict[str, str]:
    """Return what proves the sender and the moment: HMAC-SHA256 over `timestamp.body`."""
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Webhook-Id": webhook_id,
        "X-Webhook-Timestamp": str(timestamp),
        "X-Webhook-Signature": f"sha256={signed}",
    }
