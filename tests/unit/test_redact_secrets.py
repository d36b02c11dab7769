"""Secrets are found wherever they stand, and nothing else is taken out."""

from __future__ import annotations

import base64
import json
import random
import time
from urllib.parse import quote

import pytest

from backends.redact import REDACTED, is_sensitive_name, redact, redact_args

_random = random.Random(11)
_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _noise(length: int, alphabet: str = _ALPHANUMERIC) -> str:
    return "".join(_random.choice(alphabet) for _ in range(length - 1)) + "7"


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


_PEM_BODY = "\n".join(_noise(64) for _ in range(6))
_PEM = f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{_PEM_BODY}\n-----END RSA {'PRIVATE'} KEY-----"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

#: kind -> a credential of that form, put together here so that no scanner takes this file for a leak.
SHAPES = {
    "anthropic": "sk-ant-" + "api03-" + _noise(80),
    "openai project": "sk-" + "proj-" + _noise(60),
    "openai": "sk-" + _noise(48),
    "openrouter": "sk-or-" + "v1-" + _noise(64, "0123456789abcdef"),
    "groq": "gsk_" + _noise(52),
    "huggingface": "hf_" + _noise(34),
    "aws": "AKIA" + _noise(16, _UPPER).replace("7", "Q"),
    "aws session": "ASIA" + _noise(16, _UPPER).replace("7", "Q"),
    "google": "AIza" + _noise(35),
    "google oauth": "ya29." + _noise(60),
    "github": "ghp_" + _noise(36),
    "github server": "ghs_" + _noise(36),
    "github fine-grained": "github_pat_" + _noise(82),
    "gitlab": "glpat-" + _noise(20),
    "slack": "xoxb-" + "123456789012-" + _noise(24),
    "slack app": "xapp-" + "1-A0" + _noise(60),
    "stripe": "sk_" + "live_" + _noise(24),
    "npm": "npm_" + _noise(36),
    "pypi": "pypi-AgE" + "IcHlwaS5vcmc" + _noise(60),
    "sendgrid": "SG." + _noise(22) + "." + _noise(43),
    "databricks": "dapi" + _noise(32, "0123456789abcdef"),
    "vault": "hvs." + _noise(90),
    "jwt": ".".join((_b64('{"alg":"HS256"}'), _b64('{"sub":"1234567890"}'), _noise(43))),
}
PLACES = {
    "plain": "the agent printed {} and went on",
    "json": '{{"level": "info", "message": "using {}"}}',
    "url": "GET https://api.example.com/v1/jobs?page=2&value={}&sort=age",
}

#: text -> what must be gone
PLANTED = [
    *((place.format(secret), secret) for secret in SHAPES.values() for place in PLACES.values()),
    (_PEM, _PEM_BODY),
    (json.dumps({"key": _PEM}), json.dumps(_PEM_BODY)[1:-1]),
    (base64.b64encode(_PEM.encode()).decode(), base64.b64encode(_PEM.encode()).decode()),
    (_PEM.replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB12\n\n", 1), _PEM_BODY),
    ("postgres://watch:s3cr3t-pass@db.internal:5432/queue", "s3cr3t-pass"),
    ("redis://:hunter2hunter2@cache:6379/0", "hunter2hunter2"),
    ("curl -H 'Authorization: Bearer abcdef1234567890abcdef'", "abcdef1234567890abcdef"),
    ("Authorization: Basic d2F0Y2g6c2VjcmV0MTIz", "d2F0Y2g6c2VjcmV0MTIz"),
    ('{"authorization": "Basic d2F0Y2g6c2VjcmV0MTIz"}', "d2F0Y2g6c2VjcmV0MTIz"),
    ("password=hunter22", "hunter22"),
    ("PASSWORD: Tr0ub4dor&3", "Tr0ub4dor"),
    ('{"password": "correct-horse"}', "correct-horse"),
    ('{\\"db_password\\": \\"correct-horse\\"}', "correct-horse"),
    ("export AWS_SECRET_ACCESS_KEY=" + "wJalrXUtnFEMI7K7MDENGbPxRfiCYzzzzzzzzzzz", "wJalrXUtnFEMI"),
    ("api_key: 9f86d081884c7d659a2f", "9f86d081884c7d659a2f"),
    ("X-Api-Key: 9f86d081884c7d659a2f", "9f86d081884c7d659a2f"),
    ("https://store.example/x?sv=2024&signature=9f86d081884c7d", "9f86d081884c7d"),
    ("https://x.example/cb?access_token=9f86d081884c7d659a&state=1", "9f86d081884c7d659a"),
    ("client_secret = '9f86d081-884c-7d65'", "9f86d081-884c-7d65"),
    ("deploy --token 9f86d081884c --host db", "9f86d081884c"),
    ("mysql --password=letmein", "letmein"),
    ("login --db-password correcthorse", "correcthorse"),
    ("wandb: WANDB_API_KEY=" + _noise(40, "0123456789abcdef"), None),
]

CLEAN = [
    "max_tokens: 16000, input_tokens=28100, output_tokens_details.thinking_tokens=12",
    "token_count=1234567 token budget: 32000",
    "tokenizer=claude-5-tokenizer-v2",
    "Password: required",
    "password authentication failed for user watch",
    "password=None passwd=$DB_PASSWORD secret={{ vault.db }} token=<unset>",
    "password = getpass.getpass('Password: ')",
    "api_key=os.environ['API_KEY']",
    "bearer of bad news: the standard-bearer is authentication_required",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b by builder-1",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "uuid 123e4567-e89b-12d3-a456-426614174000 started on host-17 at 2026-11-02T10:00:00Z",
    "https://example.com:8080/path@v2?page=3#key",
    "git clone git@github.com:owner/repository.git",
    "/home/user/.ssh/id_ed25519 -> secret.txt",
    "keyboard: sk-ip this task-sk-1234; ask-anthropic",
    "GPU-5a1b2c3d-0000-1111-2222-333344445555 NVIDIA H100 80GB HBM3",
    "secretary: Anna, credentials: missing, signature: invalid",
    "vllm.entrypoints.openai.api_server --model meta-llama/Llama-3-70B --max-num-batched-tokens 8192",
]


def test_there_are_enough_plants() -> None:
    assert len(PLANTED) >= 60
    assert len(SHAPES) >= 12


@pytest.mark.parametrize(("text", "secret"), PLANTED)
def test_planted_secret_is_taken_out(text: str, secret: object) -> None:
    redacted, count = redact(text)
    assert count >= 1
    assert "[redacted" in redacted
    if isinstance(secret, str):
        assert secret not in redacted
        assert secret[-12:] not in redacted
    assert redact(redacted) == (redacted, 0)


@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES.keys())
def test_percent_encoded_in_a_url(secret: str) -> None:
    redacted, _ = redact(f"https://example.com/?a=1&value={quote(secret, safe='')}&b=2")
    assert secret not in redacted
    assert redacted.endswith("&b=2")


def test_what_is_around_a_secret_stays() -> None:
    assert (
        redact("postgres://watch:pw123456@db:5432/q")[0]
        == "postgres://watch:[redacted:url-password]@db:5432/q"
    )
    assert redact("a password=hunter22; b")[0] == "a password=[redacted:secret]; b"


@pytest.mark.parametrize("line", CLEAN)
def test_clean_line_is_left_alone(line: str) -> None:
    assert redact(line) == (line, 0)


def test_false_hits_are_rare_on_thousands_of_lines_of_source_and_logs() -> None:
    lines = _clean_corpus()
    assert len(lines) > 5000
    false_hits = [line for line in lines if redact(line)[1]]
    assert len(false_hits) <= len(lines) / 1000, false_hits[:20]


def _clean_corpus() -> list[str]:
    """Standard library modules that are full of passwords, tokens and keys, none of them real."""
    import getpass
    import hmac
    import http.client
    import http.cookiejar
    import netrc
    import secrets
    import smtplib
    import tokenize
    import urllib.request

    lines: list[str] = []
    for module in (
        getpass,
        hmac,
        http.client,
        http.cookiejar,
        netrc,
        secrets,
        smtplib,
        tokenize,
        urllib.request,
    ):
        assert module.__file__ is not None
        with open(module.__file__, encoding="utf-8") as source:
            lines += source.read().splitlines()
    return lines


@pytest.mark.parametrize(
    "unit",
    [
        "a", "token", "token=", "--a-", "://a:", "key-", "eyJ", "sk-", "password ", "password='", "bearer ",
        "-----BEGIN PRIVATE KEY-----", "\n", "token ", "2026-11-02T10:00:00Z builder-1 claimed work w17\n",
    ],
)  # fmt: skip
def test_time_is_linear_in_hostile_text(unit: str) -> None:
    """200 KB takes some 30 ms; what is quadratic would take minutes."""
    text = unit * (200_000 // len(unit))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 1.0


def test_structured_data_by_name_and_by_shape() -> None:
    key = SHAPES["anthropic"]
    args = {
        "name": "builder-1",
        "api_key": "short",
        "apiKey": 12345678,
        "password": "",
        "token": None,
        "max_tokens": 16000,
        "env": {"HF_TOKEN": "x", "PATH": "/bin", "NOTE": f"uses {key}"},
        "start": ["run", "--token", "abc", f"--auth={key}"],
        "fence": 7,
    }
    assert redact_args(args) == {
        "name": "builder-1",
        "api_key": REDACTED,
        "apiKey": REDACTED,
        "password": "",
        "token": None,
        "max_tokens": 16000,
        "env": {"HF_TOKEN": REDACTED, "PATH": "/bin", "NOTE": "uses [redacted:anthropic-key]"},
        "start": ["run", "--token", REDACTED, "--auth=[redacted:anthropic-key]"],
        "fence": 7,
    }
    assert args["api_key"] == "short"


@pytest.mark.parametrize(
    "name", ["password", "DB_PASSWORD", "clientSecret", "x-api-key", "access.token", "Cookie"]
)
def test_sensitive_names(name: str) -> None:
    assert is_sensitive_name(name)


@pytest.mark.parametrize(
    "name", ["max_tokens", "token_count", "key", "monkey", "author", "tokenizer", "passed"]
)
def test_harmless_names(name: str) -> None:
    assert not is_sensitive_name(name)
