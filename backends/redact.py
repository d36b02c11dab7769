"""Secrets taken out of text before it is logged, audited or sent to a model.

High precision comes first: a pattern is either the shape of one provider's credential, or a value that stands
next to a name such as ``password``. Every pattern starts with a literal and repeats only over one character
class at a time, so the time is linear in the text, whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: What a secret under a telling name in structured data becomes.
REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One kind of secret. The group ``secret`` is replaced, or the whole match when there is none."""

    kind: str
    hints: tuple[str, ...]  # lower case; without one of them in the text the pattern cannot match
    pattern: re.Pattern[str]
    accept: Callable[[re.Match[str]], bool] = lambda _match: True

    def apply(self, text: str) -> tuple[str, int]:
        count = 0

        def replacement(match: re.Match[str]) -> str:
            nonlocal count
            if not self.accept(match):
                return match.group()
            count += 1
            mark = f"[redacted:{self.kind}]"
            if "secret" not in self.pattern.groupindex:
                return mark
            start, end = match.span("secret")
            whole = match.group()
            return whole[: start - match.start()] + mark + whole[end - match.start() :]

        return self.pattern.sub(replacement, text), count


def _shape(kind: str, prefix: str, rest: str, *, flags: int = 0) -> _Rule:
    """A credential that starts with ``prefix`` where no word is under way, and goes on as ``rest``.

    The check that no word is under way follows the prefix: so the pattern starts with a literal, which ``re``
    finds many times faster than a look-behind at every character.
    """
    literal = re.escape(prefix)
    pattern = re.compile(f"{literal}(?<![A-Za-z0-9]{literal}){rest}", flags)
    return _Rule(kind, (prefix.lower(),), pattern)


def _has_digit(match: re.Match[str]) -> bool:
    return any(character.isdigit() for character in match.group("secret"))


_PLACEHOLDER = re.compile(
    r"none|null|nil|true|false|undefined|required|missing|invalid|expired|unset|empty|changeme|redacted|hidden",
    re.IGNORECASE,
)


def _is_secret_value(match: re.Match[str]) -> bool:
    """Is the value after a telling name a secret, rather than prose, code or a placeholder?"""
    value = match.group("secret").rstrip(".)")
    name = match.group("name").lower()
    if _PLACEHOLDER.fullmatch(value) or not value.strip("*xX.•-"):
        return False
    if value.startswith(("$", "<", "%", "{", "(")) or any(mark in value for mark in "()[]{}"):
        return False  # a variable, a template or code
    is_password = name.startswith("pass") or name == "pwd"
    if not is_password:
        return len(value) >= 8 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if any(c.isdigit() for c in value):
        return True
    quoted = match.group("quote") != ""
    tight = match.group("sign") == "="
    return (
        (quoted or tight) and len(value) >= 6 and not (not quoted and re.search(r"[._]|^[A-Z]+$|pass", value))
    )


_NAMES = (
    r"(?P<name>passwords?|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key"
    r"|signing[_-]?key|credentials?|signature|token)"
)
#: ``token`` is also what models count; those names are about numbers and are no secrets.
_NOT_COUNTS = r"(?!s\b|s[_\"' ]|i[sz]|[_-]?(?:count|budget|limit|usage|type|ttl|url|len))"

_RULES: tuple[_Rule, ...] = (
    _Rule(
        "private-key",
        ("private key",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:(?:\\r|\\n|\s){0,4}[A-Za-z-]{1,20}: [^\n\\]{1,100}){0,4}"
            r"[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
    ),
    _Rule(
        "private-key",
        ("ls0tls1crudjti",),
        re.compile(
            r"LS0tLS1CRUdJTi(?:BSU0EgUFJJVkFURS|BQUklWQVRFIEtF|BFQyBQUklWQVRFIE|BPUEVOU1NIIFBSSVZBVE|BEU0EgUFJJVkFURS)"
            r"[A-Za-z0-9+/=]{20,}"
        ),
    ),
    _shape("jwt", "eyJ", r"[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{8,}"),
    _shape("anthropic-key", "sk-ant-", r"[A-Za-z0-9_-]{20,}"),
    _shape("openai-key", "sk-", r"(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}"),
    _shape("openrouter-key", "sk-or-", r"[A-Za-z0-9-]{20,}"),
    _shape("openai-key", "sk-", r"[A-Za-z0-9]{32,}"),
    _shape("groq-key", "gsk_", r"[A-Za-z0-9]{30,}"),
    _shape("xai-key", "xai-", r"[A-Za-z0-9]{40,}"),
    _shape("huggingface-token", "hf_", r"[A-Za-z0-9]{30,}"),
    _shape("replicate-token", "r8_", r"[A-Za-z0-9]{30,}"),
    _shape("aws-key-id", "AKIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _shape("aws-key-id", "ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _shape("google-key", "AIza", r"[A-Za-z0-9_-]{35}"),
    _shape("google-token", "ya29.", r"[A-Za-z0-9_-]{20,}"),
    _shape("google-secret", "GOCSPX-", r"[A-Za-z0-9_-]{20,}"),
    _Rule("github-token", ("gh",), re.compile(r"gh(?<![A-Za-z0-9]gh)[pousr]_[A-Za-z0-9]{36,}")),
    _shape("github-token", "github_pat_", r"[A-Za-z0-9_]{22,}"),
    _shape("gitlab-token", "glpat-", r"[A-Za-z0-9_-]{20,}"),
    _Rule("slack-token", ("xox",), re.compile(r"xox(?<![A-Za-z0-9]xox)[abeoprs]-[A-Za-z0-9-]{10,}")),
    _shape("slack-token", "xapp-", r"[0-9]-[A-Za-z0-9-]{20,}"),
    _shape("slack-webhook", "hooks.slack.com/services/", r"[A-Za-z0-9/]{20,}"),
    _shape("discord-webhook", "discord.com/api/webhooks/", r"[0-9]{10,}/[A-Za-z0-9_-]{20,}"),
    _Rule("stripe-key", ("_live_", "_test_"), re.compile(r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}")),
    _shape("stripe-key", "whsec_", r"[A-Za-z0-9]{20,}"),
    _shape("npm-token", "npm_", r"[A-Za-z0-9]{36}"),
    _shape("pypi-token", "pypi-AgE", r"[A-Za-z0-9_-]{30,}"),
    _shape("docker-token", "dckr_pat_", r"[A-Za-z0-9_-]{20,}"),
    _shape("sendgrid-key", "SG.", r"[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,}"),
    _Rule("digitalocean-token", ("_v1_",), re.compile(r"do[opr]_v1_[0-9a-f]{40,}")),
    _shape("databricks-token", "dapi", r"[0-9a-f]{32}"),
    _shape("vault-token", "hvs.", r"[A-Za-z0-9_-]{20,}"),
    _shape("tailscale-key", "tskey-", r"[A-Za-z0-9-]{20,}"),
    _shape("grafana-token", "glsa_", r"[A-Za-z0-9_]{30,}"),
    _shape("age-key", "AGE-SECRET-KEY-1", r"[A-Z0-9]{40,}"),
    _Rule(
        "url-password",
        ("://",),
        re.compile(r"://[^\s/:@\"']{0,100}:(?P<secret>[^\s/@\"'\[]{1,200})@"),
    ),
    _Rule(
        "authorization",
        ("bearer",),
        re.compile(r"[Bb](?:earer|EARER)(?: |%20|\+)+(?P<secret>[A-Za-z0-9._~+/=-]{12,})"),
        _has_digit,
    ),
    _Rule(
        "authorization",
        ("authorization",),
        re.compile(
            r"uthorization[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?:Basic|Token|Digest)\s{1,2}(?P<secret>[^\s\"'\[]{8,})"
        ),
    ),
    _Rule(
        "secret",
        ("--",),
        re.compile(
            rf"--(?:[A-Za-z0-9]{{1,20}}-){{0,4}}{_NAMES}[ =]"
            r"(?P<secret>[^\s\"'\[-][^\s\"'\[]{3,200})"
        ),
        lambda match: (
            not _PLACEHOLDER.fullmatch(match.group("secret"))
            and not match.group("secret").startswith(("$", "<", "{"))
        ),
    ),
    _Rule(
        "secret",
        ("pass", "pwd", "secret", "key", "credential", "signature", "token"),
        re.compile(
            rf"{_NAMES}{_NOT_COUNTS}(?:[_-][A-Za-z0-9]{{1,12}}){{0,2}}(?:\\?[\"'])?"
            r"(?P<sign>\s{0,3}(?:=>|[:=]|%3[dD])\s{0,3})(?P<quote>(?:\\?[\"'])?)"
            r"(?P<secret>[^\s\"',;&\\\[<>]{4,400})",
            re.IGNORECASE,
        ),
        _is_secret_value,
    ),
)

_SENSITIVE_NAME = re.compile(
    r"pass(?:word|wd|phrase)s?|pwd|secrets?|api_?key|access_?key|private_?key|signing_?key|authorization|cookie"
    r"|credentials?|(?:^|_)token(?:$|_)|signature"
)
_COUNTED_NAME = re.compile(r"tokens|token_(?:count|budget|limit|usage|type|ttl|url)")


def redact(text: str) -> tuple[str, int]:
    """``text`` without secrets, and how many were taken out. Doing it twice changes nothing more."""
    count = 0
    lowered = text.lower()
    for rule in _RULES:
        if any(hint in lowered for hint in rule.hints):
            text, found = rule.apply(text)
            count += found
    return text, count


def is_sensitive_name(name: str) -> bool:
    """Does the name of a field say that its value is a secret? ``max_tokens`` does not."""
    spelled = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_").replace(".", "_")
    return bool(_SENSITIVE_NAME.search(spelled)) and not _COUNTED_NAME.search(spelled)


def redact_args(args: Mapping[str, Any]) -> dict[str, Any]:
    """Structured data without secrets: by the name of the field, and by the shape of any text in it.

    Keys keep their place and other values their type, so an audit record still says what was asked.
    """
    return {key: REDACTED if _hides(key, value) else _redact_value(value) for key, value in args.items()}


def _hides(key: str, value: Any) -> bool:
    return value not in (None, "", True, False) and isinstance(key, str) and is_sensitive_name(key)


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)[0]
    if isinstance(value, Mapping):
        return redact_args(value)
    if isinstance(value, list | tuple):
        return [
            REDACTED if _is_secret_flag(before) else _redact_value(item)
            for before, item in zip((None, *value), value, strict=False)
        ]
    return value


def _is_secret_flag(argument: Any) -> bool:
    """``--token``: the argument after it is a secret."""
    return (
        isinstance(argument, str)
        and argument.startswith("--")
        and "=" not in argument
        and is_sensitive_name(argument.strip("-"))
    )
