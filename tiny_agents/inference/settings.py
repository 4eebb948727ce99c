"""What a client was told, checked and in one form. Both clients take the same arguments and hand them over here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from tiny_agents.errors import UsageError, shown_address
from tiny_agents.inference.providers import LOCAL, check_name
from tiny_agents.records import NoSecretsShown

DEFAULT_TIMEOUT_S = 300.0
DEFAULT_MAX_RETRIES = 2
Emulation = Literal["small", "constrained"]
"""How tools are offered to a model that has no tool API; see `inference.emulation`."""

Proxies: TypeAlias = str | Mapping[str, str | None]
"""One proxy for everything, or addresses by scheme ("http", "https", "all") or by pattern ("https://host")."""

BILL_TO = "x-hf-bill-to"
_PROXY_SCHEMES = ("http://", "https://", "socks5://", "socks5h://")


class ClientSettings(NoSecretsShown, msgspec.Struct, frozen=True):
    """Settings of a client.

    Attributes:
        model: Id or URL; None leaves it to each call.
        provider: Name, or None: the endpoint where `model` is a URL, else Hugging Face's router.
        key: The credential the user handed over.
        anonymous: True if the user asked for no credential at all (`token=False`).
        headers: The user's own, names in lower case, cookies and billing among them.
        timeout_s: Seconds without data from the model.
        total_timeout_s: Seconds for a whole call; None allows any time.
        proxies: Address of the proxy by pattern of the URL; None is a direct connection.
        tool_emulation: Whether tools are offered in the prompt, for endpoints without a tool API.
    """

    not_shown = frozenset({"key", "headers", "proxies"})

    model: str | None
    provider: str | None
    key: str | None
    anonymous: bool
    headers: Mapping[str, str]
    timeout_s: float
    total_timeout_s: float | None
    max_retries: int
    trust_env: bool
    tool_emulation: bool
    proxies: Mapping[str, str | None] = msgspec.field(default_factory=dict)

    @property
    def embedded(self) -> bool:
        return self.provider == LOCAL


def is_url(model: str | None) -> bool:
    return model is not None and model.startswith(("http://", "https://"))


def is_address(text: str) -> bool:
    """Whether `text` is a whole http or https URL."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and text.split() == [text]
        )
    except ValueError:  # a port or an IPv6 address that is none
        return False


def client_settings(
    model: str | None,
    *,
    provider: str | None,
    token: str | Literal[False] | None,
    api_key: str | Literal[False] | None,
    base_url: str | None,
    timeout: float | None,
    total_timeout: float | None = None,
    headers: Mapping[str, str] | None,
    cookies: Mapping[str, str] | None,
    bill_to: str | None,
    max_retries: int,
    trust_env: bool,
    tool_emulation: bool,
    proxies: Proxies | None = None,
    has_http_client: bool = False,
) -> ClientSettings:
    """Check the arguments of a client. Raises UsageError where two contradict each other or one makes no sense."""
    if model is not None and base_url is not None:
        raise UsageError("Give `model` or `base_url`, not both: with `base_url`, name the model in each call.")
    if token is not None and api_key is not None:
        raise UsageError("Give `token` or `api_key`, not both: they mean the same.")
    if base_url is not None and not is_url(base_url):
        raise UsageError(f"base_url must start with http:// or https://; got {shown_address(base_url)!r}.")
    if (url := base_url or model) is not None and is_url(url) and not is_address(url.strip()):
        raise UsageError(f"{shown_address(url)!r} is no address that can be asked, such as https://host/v1.")
    if provider is not None:
        check_name(provider)
        if is_url(base_url or model):
            raise UsageError(f"A URL and provider={provider!r} contradict each other: a URL is asked directly.")
    if timeout is not None and not timeout > 0:
        raise UsageError(f"timeout must be a number of seconds above 0; got {timeout!r}.")
    if total_timeout is not None and not total_timeout > 0:
        raise UsageError(f"total_timeout must be a number of seconds above 0; got {total_timeout!r}.")
    if proxies is not None and has_http_client:
        raise UsageError("Give `proxies` or `http_client`, not both: a client of your own has its own proxies.")
    if max_retries < 0:
        raise UsageError(f"max_retries must not be negative; got {max_retries!r}.")
    key = token if token is not None else api_key
    return ClientSettings(
        model=base_url or model,
        provider=provider,
        key=(key.strip() or None) if isinstance(key, str) else None,
        anonymous=key is False,
        headers=_headers(headers, cookies, bill_to),
        timeout_s=DEFAULT_TIMEOUT_S if timeout is None else float(timeout),
        total_timeout_s=None if total_timeout is None else float(total_timeout),
        max_retries=max_retries,
        trust_env=trust_env,
        tool_emulation=tool_emulation,
        proxies=_proxies(proxies),
    )


def _proxies(given: Proxies | None) -> dict[str, str | None]:
    """Proxies by pattern of the URL, from one address or from the mapping that the requests package takes, too."""
    if given is None:
        return {}
    named = {"all": given} if isinstance(given, str) else given
    found: dict[str, str | None] = {}
    for pattern, address in named.items():
        if address is not None and not address.startswith(_PROXY_SCHEMES):
            # The address may hold a password: it isn't shown.
            raise UsageError(f"proxies[{pattern!r}] must start with one of {', '.join(_PROXY_SCHEMES)}.")
        found[pattern if "://" in pattern else f"{pattern}://"] = address
    return found


def _headers(
    headers: Mapping[str, str] | None, cookies: Mapping[str, str] | None, bill_to: str | None
) -> dict[str, str]:
    merged = {name.lower(): value for name, value in (headers or {}).items()}
    if cookies:
        merged["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if bill_to is not None:
        if merged.get(BILL_TO, bill_to) != bill_to:
            warnings.warn(f"bill_to={bill_to!r} replaces the {BILL_TO} header {merged[BILL_TO]!r}.", stacklevel=4)
        merged[BILL_TO] = bill_to
    return merged
