"""dns: one question to the chosen resolvers, all of which have to answer as expected. UDP, then TCP where an answer
does not fit."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.reversename

from wedsync_agent import guard
from wedsync_agent.checks import CheckConfig
from wedsync_agent.probes.base import Check, Surroundings, Trace, Trouble

# A datagram may be lost: each resolver is asked so often within the time of the check.
ATTEMPTS = 3
MAX_ANSWERS = 200
# What fits through nearly every network in one piece (DNS flag day 2020).
_PAYLOAD_BYTES = 1232
_RESOLVER = re.compile(r"\[(?P<six>[0-9a-fA-F:.]+)\](?::(?P<port6>\d{1,5}))?|(?P<four>[0-9.]+)(?::(?P<port4>\d{1,5}))?")


@dataclass(frozen=True)
class _Resolver:
    address: str
    port: int

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return shown if self.port == 53 else f"{shown}:{self.port}"


async def probe(check: Check, trace: Trace, around: Surroundings) -> None:
    config = check.config
    question = _question(check.host, config)
    resolvers = _resolvers(config, around)
    asked = await asyncio.gather(
        *[_asked(resolver, question, check, trace, around) for resolver in resolvers], return_exceptions=True
    )
    told = [one if isinstance(one, dict) else {"error": str(one)} for one in asked]
    trace.dns = {
        "name": question.question[0].name.to_text(),
        "record_type": config.dns_record_type,
        "answers": next((one["answers"] for one in told if "answers" in one), []),
        "resolvers": [{"resolver": str(resolver), **one} for resolver, one in zip(resolvers, told, strict=True)],
    }
    for resolver, one in zip(resolvers, asked, strict=True):
        if isinstance(one, Trouble):
            raise Trouble(one.problem, f"resolver {resolver}: {one.sentence}")
        if isinstance(one, BaseException):
            raise one
    if failures := [
        f"resolver {one['resolver']}: {failure}" for one in trace.dns["resolvers"] for failure in _failures(one, check)
    ]:
        raise Trouble("expectation", "; ".join(failures))


def _question(host: str, config: CheckConfig) -> dns.message.QueryMessage:
    if not host:
        raise Trouble("configuration", "a check of type dns needs target_host, the name to ask for")
    try:
        if config.dns_record_type == "PTR" and _is_address(host):
            name = dns.reversename.from_address(host)
        else:
            name = dns.name.from_text(host)
    except (dns.exception.DNSException, ValueError) as error:
        raise Trouble("configuration", f"target_host is no name that DNS can be asked for: {error}") from error
    question = dns.message.make_query(
        name, config.dns_record_type, use_edns=0, payload=_PAYLOAD_BYTES, want_dnssec=config.require_dnssec
    )
    # RFC 6840, section 5.7: without it a resolver need not say that it has checked the signatures.
    question.flags |= dns.flags.AD
    return question


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _resolvers(config: CheckConfig, around: Surroundings) -> list[_Resolver]:
    """Those that the check names, guarded; else the machine's own, which the operator chose."""
    if not config.resolvers:
        try:
            system = dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration as error:
            raise Trouble("impossible", "not possible here: this machine has no resolver; name some") from error
        return [_Resolver(str(address), system.port) for address in system.nameservers if _is_address(str(address))]
    return [_guarded(text, around) for text in config.resolvers]


def _guarded(text: str, around: Surroundings) -> _Resolver:
    match = _RESOLVER.fullmatch(text)
    address = text if match is None else match["six"] or match["four"]
    port = 53 if match is None else int(match["port6"] or match["port4"] or 53)
    if not _is_address(address) or not 0 < port < 65536:
        raise Trouble("configuration", f"resolvers: send addresses such as 9.9.9.9 or [2620:fe::fe]:53, not {text!r}")
    try:
        guard.checked(text, [address], around.allowed_networks)
    except guard.Forbidden as error:
        raise Trouble("forbidden", str(error)) from error
    return _Resolver(address, port)


async def _asked(
    resolver: _Resolver, question: dns.message.QueryMessage, check: Check, trace: Trace, around: Surroundings
) -> dict[str, Any]:
    """What one resolver answers. Raises Trouble."""
    began = around.clock()
    answer, over_tcp = await _answer(resolver, question, check.timeout_seconds / ATTEMPTS)
    kind = dns.rdatatype.from_text(check.config.dns_record_type)
    records = [
        {"type": dns.rdatatype.to_text(group.rdtype), "ttl": group.ttl, "value": _value(record)}
        for group in answer.answer
        for record in group
        if group.rdtype != dns.rdatatype.RRSIG
    ][:MAX_ANSWERS]
    return {
        "rcode": dns.rcode.to_text(answer.rcode()),
        "authenticated": bool(answer.flags & dns.flags.AD),
        "over_tcp": over_tcp,
        "time_ms": round((around.clock() - began) * 1000, 3),
        # Their order means nothing, and resolvers change it from answer to answer.
        "answers": sorted(record["value"] for record in records if record["type"] == dns.rdatatype.to_text(kind)),
        "records": records,
    }


async def _answer(
    resolver: _Resolver, question: dns.message.QueryMessage, seconds: float
) -> tuple[dns.message.Message, bool]:
    for attempt in range(ATTEMPTS):
        try:
            # What does not answer this question is passed over: somebody else may be faster than the resolver.
            return await dns.asyncquery.udp_with_fallback(
                question, resolver.address, seconds, resolver.port, ignore_unexpected=True, ignore_errors=True
            )
        except dns.exception.Timeout as error:
            if attempt + 1 == ATTEMPTS:
                raise Trouble("timeout", f"no answer to {ATTEMPTS} questions") from error
        except (dns.exception.DNSException, EOFError) as error:
            raise Trouble("protocol", f"the answer cannot be read: {type(error).__name__}: {error}") from error
        except OSError as error:
            raise Trouble("connect", f"{error.strerror or error}") from error
    raise AssertionError("the last attempt answers or raises")


def _value(record: Any) -> str:
    strings = getattr(record, "strings", None)
    return b"".join(strings).decode("utf-8", "replace") if strings else str(record.to_text())


def _failures(answer: dict[str, Any], check: Check) -> Sequence[str]:
    config, found = check.config, answer["answers"]
    if answer["rcode"] != config.expected_rcode:
        return [f"{answer['rcode']}, expected {config.expected_rcode}"]
    if config.expected_rcode != "NOERROR":
        return []
    if not found:
        return [f"no {config.dns_record_type} record"]
    known = {_plain(value) for value in found}
    wanted = [*([config.expected_ip] if config.expected_ip else []), *config.expected_answers]
    told = [f"{value} is not among {', '.join(found)[:300]}" for value in wanted if _plain(value) not in known]
    if config.require_dnssec and not answer["authenticated"]:
        told.append("the answer is not authenticated by DNSSEC")
    return told


def _plain(value: str) -> str:
    """As it is compared: names without their last dot and in lower case, addresses in one notation."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return value.rstrip(".").lower()
