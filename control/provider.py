"""Talk to Mythic Beasts' APIs, and say in words what they answer.

https://www.mythic-beasts.com/support/api/auth
https://www.mythic-beasts.com/support/api/raspberry-pi
https://www.mythic-beasts.com/support/api/vps
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

TIMEOUT_S = (10.0, 60.0)  # to connect, and between two packets
POLL_S = 5.0
PERMISSIONS = "Raspberry Pi provisioning, and for a database's VM Virtual Server Provisioning"

Json = dict[str, Any]
T = TypeVar("T")
Ways = Mapping[int, str]
"""What a code means for one call, and the way out."""


class ProviderError(Exception):
    """The message names the thing, the cause and the way out."""


@dataclass(frozen=True)
class Settings:
    """How the provider is reached, and how the hosts that it rents out are."""

    key_file: str
    """Holds the API key as ID:SECRET."""
    via: str
    """How a host's ssh is reached: ipv6, or relay for the provider's, which has IPv4."""
    api_url: str
    auth_url: str
    relay: str
    """Name of a Pi's relay, with the Pi's for {name}."""


@dataclass(frozen=True)
class Rental:
    """A host that is rented, and how its ssh is met."""

    name: str
    ssh_key: str
    known_hosts: Path
    timeout_s: float
    """For each step that is waited for."""
    check_mode: bool


class Provider:
    """The account of an API key; a context manager that closes its connections."""

    def __init__(self, settings: Settings) -> None:
        """Read the key. Raises ProviderError."""
        self.settings = settings
        self._key = _key(settings.key_file)
        self._token = ""
        self._session = requests.Session()
        # Not a header, which a line of ~/.netrc would replace.
        self._session.auth = self._sign
        retries = Retry(total=3, backoff_factor=0.1, allowed_methods={"GET"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retries))

    def __enter__(self) -> Provider:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._session.close()

    def call(
        self, method: str, path: str, thing: str, body: Json | None = None, ways: Ways | None = None
    ) -> requests.Response:
        """Return the answer for a path of the API, or a whole URL of its.

        Raises ProviderError for a code from 400 on: with the words of `ways` for it, else with
        those that hold for each call. `thing` is what is spoken of: "the Pi pi7".
        """
        url = path if "://" in path else self.settings.api_url + path
        answer = self._answer(method, url, body)
        if answer.status_code == requests.codes.unauthorized:
            # A token's life is short.
            self._token = ""
            answer = self._answer(method, url, body)
        if answer.status_code < 400:
            return answer
        meaning = {**self._ways(), **(ways or {})}.get(
            answer.status_code,
            f"the provider answers {answer.status_code}: run it again later, or ask its support",
        )
        raise CodeError(answer.status_code, f"{thing}: {meaning}{self._said(answer)}")

    def json(
        self, method: str, path: str, thing: str, body: Json | None = None, ways: Ways | None = None
    ) -> Json:
        """Return what the answer to `call` holds. Raises ProviderError."""
        answer = self.call(method, path, thing, body, ways)
        try:
            found = answer.json()
        except requests.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise ProviderError(
                f"{thing}: {self.settings.api_url} answers with something that is not JSON's "
                "mapping, such as a proxy's login page. Check what this host gets from it"
            )
        return found

    def _ways(self) -> Ways:
        return {
            400: "the provider doesn't accept what is asked for. Correct it in the inventory",
            401: f"the provider doesn't accept the API key in {self.settings.key_file}. Write a "
            "valid one there as ID:SECRET; its API is tied to the address that logged in, so this "
            "host must reach both its addresses by IPv6, or both by IPv4",
            403: "not authorised, or there is no such thing in this account. Check the name, and "
            f"that the API key in {self.settings.key_file} may do {PERMISSIONS}",
            404: "the provider has no such thing. Check the name",
            409: "still being provisioned. Run it again in some minutes",
            500: "the provider failed at it. Run it again later, or ask its support",
            503: "the provider's API is not available. Run it again later",
        }

    def _answer(self, method: str, url: str, body: Json | None) -> requests.Response:
        if not self._token:
            self._token = self._log_in()
        return self._request(method, url, json=body, allow_redirects=False)

    def _log_in(self) -> str:
        answer = self._request(
            "POST",
            self.settings.auth_url,
            auth=self._key,
            data={"grant_type": "client_credentials"},
        )
        if answer.status_code >= 500:
            raise ProviderError(
                f"the provider's login {self.settings.auth_url} answers {answer.status_code}. Run "
                "it again later"
            )
        try:
            return str(answer.json()["access_token"])
        except (ValueError, KeyError, TypeError):
            raise CodeError(401, f"the API key: {self._ways()[401]}{self._said(answer)}") from None

    def _request(self, method: str, url: str, **arguments: Any) -> requests.Response:
        try:
            return self._session.request(method, url, timeout=TIMEOUT_S, **arguments)
        except requests.RequestException as error:
            # What requests says of it names objects in memory, and perhaps a proxy's password.
            raise ProviderError(
                f"{url} can't be reached ({type(error).__name__}). Check that this host reaches "
                f"it (curl -I {url}), then run it again"
            ) from None

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _said(self, answer: requests.Response) -> str:
        """Return what the provider gives as reason, without what is secret."""
        try:
            body = answer.json()
        except requests.JSONDecodeError:
            body = None
        said = body.get("error_description") or body.get("error") if isinstance(body, dict) else ""
        words = " ".join(str(said or "").split())[:300]
        basic = base64.b64encode(":".join(self._key).encode()).decode()
        for secret in filter(None, (self._key[1], basic, self._token)):
            words = words.replace(secret, "…")
        return f' (it says "{words}")' if words else ""


class CodeError(ProviderError):
    """The provider answers with a code that means that it can't be done."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def until(found: Callable[[], T | None], timeout_s: float, late: str) -> T:
    """Return what `found` does, asked again for timeout_s as long as it is None.

    Raises ProviderError with `late`.
    """
    end = time.monotonic() + timeout_s
    while (answer := found()) is None:
        if time.monotonic() + POLL_S > end:
            raise ProviderError(late)
        time.sleep(POLL_S)
    return answer


def provisioned(
    provider: Provider, answer: requests.Response, thing: str, timeout_s: float
) -> None:
    """Wait for what an answer with 202 promises. Raises ProviderError.

    Its Location answers 202 until it is done, then 303.
    """
    url = answer.headers.get("Location", "")
    failed = {500: "the provider has failed to provision it. Run it again, or ask its support"}

    def done() -> bool | None:
        polled = provider.call("GET", url, thing, ways=failed)
        return None if polled.status_code == requests.codes.accepted else True

    if url:
        until(done, timeout_s, f"{thing}: not provisioned after {timeout_s:.0f} s. {AGAIN}")


AGAIN = "It may yet come: run it again, which waits for it"


def _key(path: str) -> tuple[str, str]:
    try:
        name, _, secret = Path(path).read_text(encoding="utf-8").strip().partition(":")
    except OSError as error:
        raise ProviderError(
            f"the API key {path} can't be read: {error.strerror}. Make a key at the provider "
            f"(permissions {PERMISSIONS}) and write it there as ID:SECRET"
        ) from None
    if not name or not secret:
        raise ProviderError(f"{path} is not a valid API key: write it as ID:SECRET, in one line")
    return name, secret
