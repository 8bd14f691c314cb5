"""What a check may say: the declared structure of `check_config` and `expected_response`. Pure.

Texts may refer to a secret as `{{secret:NAME}}`, and in the steps of an api check to what an earlier step extracted
as `{{NAME}}`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# Sealed at rest and masked wherever it would be shown; and where such secrets are sent.
Secret = Annotated[str, Meta(extra={"secret": True}, extra_json_schema={"writeOnly": True})]
Destination = Annotated[str, Meta(extra={"destination": True})]

Method = Literal["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]
StatusCode = Annotated[int, Meta(ge=100, le=599)]
StatusRange = Annotated[str, Meta(pattern=r"^[1-5]([0-9]{2}-[1-5][0-9]{2}|xx)$", max_length=7)]
Milliseconds = Annotated[int, Meta(ge=1)]
Pattern = Annotated[str, Meta(min_length=1, max_length=1000)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]


class _Struct(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    pass


class Auth(_Struct, frozen=True):
    """Sent as an Authorization header: user name and password (Basic), or a token (Bearer)."""

    type: Literal["basic", "bearer"]
    username: str = ""
    password: Secret = ""
    token: Secret = ""


class Assertion(_Struct, frozen=True):
    """One expectation. `path` is a header's name (source header) or a JSON path (source json).

    `matches` takes an RE2 pattern; `greater` and `less` compare numbers, and their limit is not included. Where a JSON
    path finds several values, one of them has to fit, and for the three that begin with `not_` none may.
    """

    source: Literal["status", "header", "body", "json", "time_ms"]
    op: Literal[
        "equals", "not_equals", "contains", "not_contains", "matches", "not_matches",
        "greater", "less", "exists", "missing",
    ]  # fmt: skip
    path: str = ""
    value: str | int | float | bool | None = None


class Extraction(_Struct, frozen=True):
    """A value of an answer, kept under `name` for the steps that follow: the first that a JSON path finds, a header, or
    the first group of an RE2 pattern in the body. Hidden in results unless `secret` is false."""

    name: Name
    source: Literal["json", "header", "body"]
    path: Pattern
    secret: bool = True


class Step(_Struct, frozen=True):
    """One request of an api check. A `url` that begins with / goes to the check's own."""

    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    name: Annotated[str, Meta(max_length=100)] = ""
    method: Method = "GET"
    headers: dict[str, Secret] = {}
    body: str = ""
    auth: Auth | None = None
    follow_redirects: bool = True
    expected_status_codes: list[StatusCode | StatusRange] = []
    assertions: list[Assertion] = []
    extract: list[Extraction] = []


class SignIn(_Struct, frozen=True):
    """Steps that are run before the others. What they extracted and the cookies they got are used again by the check's
    later runs for `reuse_seconds`, and thrown away at once where a step is answered 401."""

    steps: Annotated[list[Step], Meta(min_length=1, max_length=10)]
    reuse_seconds: Annotated[int, Meta(ge=0, le=86400)] = 0


class Line(_Struct, frozen=True):
    """One exchange with a tcp target: what is sent first, and the RE2 pattern that its answer has to match."""

    send: str = ""
    expect: Annotated[str, Meta(max_length=1000)] = ""


class CheckConfig(_Struct, frozen=True):
    """What a probe sends and expects; which parts apply depends on the check's type."""

    # http and api
    method: Method = "GET"
    headers: dict[str, Secret] = {}
    body: str = ""
    auth: Auth | None = None
    follow_redirects: bool = True
    max_redirects: Annotated[int, Meta(ge=0, le=20)] = 5
    http_version: Literal["auto", "1.1", "2"] = "auto"
    proxy: Destination = ""
    proxy_auth: Auth | None = None
    max_body_bytes: Annotated[int, Meta(ge=1, le=16 * 1024 * 1024)] = 1024 * 1024
    sample_bytes: Annotated[int, Meta(ge=0, le=16384)] = 0
    redact: Annotated[list[Pattern], Meta(max_length=20)] = []
    steps: Annotated[list[Step], Meta(max_length=20)] = []
    sign_in: SignIn | None = None
    # what is expected
    expected_status_codes: list[StatusCode | StatusRange] = []
    expected_content: str = ""
    expected_response_time_ms: Milliseconds | None = None
    assertions: Annotated[list[Assertion], Meta(max_length=50)] = []
    # how it is connected to
    ip_version: Literal["any", "4", "6"] = "any"
    verify_tls: bool = True
    ca_certificate: str = ""
    server_name: str = ""
    min_tls_version: Literal["1.2", "1.3"] = "1.2"
    # tcp and ssl
    tls: bool = False
    starttls: Literal["", "smtp", "imap", "pop3", "ftp"] = ""
    dialogue: Annotated[list[Line], Meta(max_length=20)] = []
    certificate_days_warning: Annotated[int, Meta(ge=0, le=3650)] | None = None
    # dns
    dns_record_type: Literal["A", "AAAA", "CNAME", "MX", "NS", "TXT", "SOA", "SRV", "CAA", "PTR"] = "A"
    expected_ip: str = ""
    expected_answers: Annotated[list[str], Meta(max_length=50)] = []
    expected_rcode: Literal["NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL"] = "NOERROR"
    resolvers: Annotated[list[str], Meta(max_length=8)] = []
    require_dnssec: bool = False
    # ping
    ping_count: Annotated[int, Meta(ge=1, le=20)] = 3
    ping_interval_ms: Annotated[int, Meta(ge=10, le=10000)] = 200
    max_loss_percent: Annotated[float, Meta(ge=0, lt=100)] = 0


class ExpectedResponse(_Struct, frozen=True):
    """Expectations of any check, beside those in its configuration."""

    status_codes: list[StatusCode | StatusRange] = []
    content: str = ""
    response_time_ms: Milliseconds | None = None
