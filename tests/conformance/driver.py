"""The client of the official conformance suite, through our public API: `python driver.py URL`.

The suite (npm `@modelcontextprotocol/conformance`, Node 22) starts a server per scenario and runs this with its URL:

    conformance client --command "python tests/conformance/driver.py" --scenario tools_call --spec-version 2025-11-25

It connects, and calls every tool, or the calls that the scenario names. The suite watches the wire.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import httpx2

from tiny_agents.errors import ServerError
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.host.host import (
    AuthorizationReply,
    AuthorizationRequest,
    FormRequest,
    Host,
    Reply,
    SamplingRequest,
    UrlRequest,
)
from tiny_agents.mcp_client.oauth.options import AuthParameters

MODERN = "2026-07-28"
LIMIT_S = 25.0

_SAMPLES: Mapping[str, Any] = {
    "string": "text",
    "integer": 5,
    "number": 3,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}


class Agreeing(Host):
    """Says yes to everything; forms get their defaults, and a sample where there is none."""

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        if isinstance(request, UrlRequest):
            return Reply("accept")
        return Reply("accept", {k: v for k, v in arguments_for(request.schema).items() if v is not None})

    async def allow_sampling(self, request: SamplingRequest) -> bool:
        return False

    async def authorize(self, request: AuthorizationRequest) -> AuthorizationReply:
        """The suite's login page agrees at once, and sends the browser back."""
        async with httpx2.AsyncClient(follow_redirects=True, trust_env=False) as browser:
            await browser.get(request.url)
        return AuthorizationReply("accept")


def arguments_for(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Something for each required property that has no default."""
    properties = schema.get("properties") or {}
    needed = schema.get("required") or ()
    return {
        name: sample(properties.get(name) or {}) for name in needed if "default" not in (properties.get(name) or {})
    }


def sample(schema: Mapping[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("properties"):
        return arguments_for(schema)
    return _SAMPLES.get(str(schema.get("type")), "text")


CLIENT_DOCUMENT = "https://conformance-test.local/client-metadata.json"
"""The address that the suite takes for a client's own."""


async def from_identity_provider(context: Mapping[str, Any], issuer: str, resource: str) -> str:
    """The company's identity provider trades the person's ID token for one that speaks of them to `issuer`."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag",
        "subject_token": context["idp_id_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "client_id": context["idp_client_id"],
        "audience": issuer,
        "resource": resource,
    }
    async with httpx2.AsyncClient(trust_env=False) as http:
        return str((await http.post(context["idp_token_endpoint"], data=form)).json()["access_token"])


def auth_for(context: Mapping[str, Any], scenario: str) -> AuthParameters:
    """How the scenario wants us to log in."""
    auth: AuthParameters = {"type": "oauth"}
    if "/client-credentials" in scenario:
        auth["type"] = "client_credentials"
    if "valid_jwt" in context:
        return {"type": "jwt_bearer", "client_id": context["client_id"], "assertion": context["valid_jwt"]}
    if "idp_id_token" in context:
        return {
            "type": "jwt_bearer",
            "client_id": context["client_id"],
            "client_secret": context["client_secret"],
            "assertion": partial(from_identity_provider, context),
        }
    if "client_id" in context:
        auth["client_id"] = context["client_id"]
        auth["client_secret"] = context.get("client_secret")
        auth["private_key"] = context.get("private_key_pem")
        auth["signing_algorithm"] = context.get("signing_algorithm")
        auth["issuer"] = context.get("issuer")
    else:
        auth["client_metadata_url"] = CLIENT_DOCUMENT
    return auth


async def main(url: str) -> None:
    version = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "")
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    protocol: Literal["auto", "legacy"] = "auto" if version >= MODERN or not version else "legacy"
    auth = auth_for(context, os.environ.get("MCP_CONFORMANCE_SCENARIO", ""))
    async with (
        asyncio.timeout(LIMIT_S),
        MCPClient(base_url="http://127.0.0.1:1/v1", model="none", host=Agreeing()) as client,
    ):
        await client.add_mcp_server("http", url=url, name="server", protocol=protocol, auth=auth)
        schemas = {tool.function.name: tool.function.parameters or {} for tool in client.available_tools}
        planned = [(call["name"], call.get("arguments") or {}) for call in context.get("toolCalls") or ()]
        if (echo := "json_schema_echo") in schemas:  # it wants to see what we made of another tool's schema
            planned = [(echo, {"schema": schemas["json_schema_2020_12_tool"]})]
        for name, arguments in planned or [(name, arguments_for(schema)) for name, schema in schemas.items()]:
            try:
                result = await client.call_tool(name, arguments)
                print(f"{name}({json.dumps(arguments)}): {result.message[:200]}", file=sys.stderr)
            except ServerError as error:
                print(f"{name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[-1]))
