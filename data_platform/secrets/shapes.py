"""What a secret looks like where nobody told its value: its name, its place, its form.

Called by `masker`. What is found is replaced as a whole.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "***"

_NAME = re.compile(
    r"(?:.*[^a-z0-9])?(?:\w*(?:password|passwd|secret|token|apikey)|pass(?:phrase|code)?|pwd|"
    r"secrets|tokens|api_?keys?|keys?|credentials?|auth|cookie|signature|sig|salt|pat)"
    r"|.*(?:access_?key|secret)_?id"
)
"""A name that ends so: `DB_PASSWORD`, `sasl.password`, `X-Api-Key`, `PGPASSWORD`."""
_FOLDERS = frozenset({"pwd", "oldpwd"})
"""That a shell is in and was in."""
_CALLED = (
    *("password", "passwd", "pwd", "secret", "secret_key", "secretkey", "access_key", "api_key"),
    *("apikey", "api-key", "private_key", "token", "credential", "signature"),
)
_WORDS = (*(name for name in _CALLED if "secret_" not in name and name != "secretkey"), "sig=")
"""Of which a text must hold one, so that these are looked for: it takes long."""
_QUOTES = ("'", '"', r"\\'", r"\\\"")
"""Also as a text within JSON has them."""


def _after(endings: Iterable[str]) -> str:
    """What was matched up to here ends with one of these; to begin with them would be slow."""
    return "|".join(f"(?<={ending})" for ending in endings)


_USERINFO = re.compile(r"(://(?<=[A-Za-z0-9]://)[^\s/:@?#'\"<>]*:)([^\s/?'\"<>]+)(?=@)")
_ASSIGNED = re.compile(
    rf"(=(?:{_after(f'{name}=' for name in (*_CALLED, '[?&]sig'))})[\"']?)"
    r"(?![\"'${*])([^\s\"'&,;)}\]<>#]+)",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    rf"([\"'](?:{_after(name + quote for name in _CALLED for quote in _QUOTES)})"
    r"\s*:\s*\\?[\"'])(?![${*])[^\"'\\]+",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(authorization\\?[\"']?\s*[:=]\s*\\?[\"']?(?:[a-z]+\s+)?)(?![\s*${\"'\\]|[a-z]+\s)[^\s\"'\\,]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(\b(?:Bearer|bearer|BEARER|Basic)\s+)(?=\S*[0-9=])[A-Za-z0-9._~+/-]{8,}=*")
_WEBHOOK = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/|"
    r"\.webhook\.office\.com/)[^\s\"'<>]+"
)
_PEM = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----).*?(?:(?=-----END [A-Z0-9 ]*KEY-----)|\Z)",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|xox[abeoprs]-[\w-]{10,}"  # Slack
    r"|gh[opsru]_\w{30,}|github_pat_\w{22,}|glpat-[\w-]{20,}"
    r"|hv[sb]\.[\w-]{20,}"  # Vault
    r"|[rs]k_(?:live|test)_\w{16,}"  # Stripe
    r"|AIza[\w-]{35}"  # Google
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"  # JSON Web Token
)
_TOKENS = (
    *("AKIA", "ASIA", "xox", "gho_", "ghp_", "ghs_", "ghr_", "ghu_", "github_pat_", "glpat-"),
    *("hvs.", "hvb.", "k_live_", "k_test_", "AIza", "eyJ"),
)
_KEPT = rf"\g<1>{MASK}"
_SHAPES = (
    (("://",), _USERINFO, _KEPT),
    (("PRIVATE KEY",), _PEM, _KEPT),
    (("hooks.slack.com", "webhook"), _WEBHOOK, _KEPT),
    (("uthorization", "UTHORIZATION"), _HEADER, _KEPT),
    (("earer ", "EARER ", "Basic "), _BEARER, _KEPT),
    (_TOKENS, _TOKEN, MASK),
)
"""What a text must hold to be looked through, what is looked for, and what stands instead."""


def masked_shapes(text: str) -> str:
    """A text without what looks like a secret."""
    for marks, pattern, instead in _SHAPES:
        if any(mark in text for mark in marks):
            text = pattern.sub(instead, text)
    lower = text.lower()
    if any(word in lower for word in _WORDS):
        text = _ASSIGNED.sub(_KEPT, text)
        text = _QUOTED.sub(_KEPT, text)
    return text


def names_secret(name: str) -> bool:
    """Whether what is called so is a secret, as far as the name tells: of variables and keys."""
    lower = name.lower()
    return lower not in _FOLDERS and bool(_NAME.fullmatch(lower))


def secrets_in_url(text: str) -> Iterator[str]:
    """The password of a URL, or of what else names a database; and of its parameters."""
    if "=" in text:
        yield from (found[2] for found in _ASSIGNED.finditer(text))
    if "://" not in text:
        return
    for found in _USERINFO.finditer(text):
        yield found[2]
        yield unquote(found[2])
    try:
        parameters = parse_qsl(urlsplit(text).query)
    except ValueError:
        return
    yield from (value for name, value in parameters if names_secret(name))


def secrets_in_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Values of variables that are secrets by their names, and passwords in URLs of the others."""
    for name, value in environ.items():
        if names_secret(name):
            yield value
        yield from secrets_in_url(value)
