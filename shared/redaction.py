"""Removes secrets from log messages, and formats stack traces for Error Reporting."""

import re
import traceback

REDACTED = "[redacted]"
MAX_TEXT = 20_000

_OURS = ("shared.", "functions.", "sqlite3")
_MAX_CHAIN = 5
_MAX_FRAMES = 50
_CAUSED = "\n\nThe above exception was the direct cause of the following exception:\n\n"
_MEANWHILE = "\n\nDuring handling of the above exception, another exception occurred:\n\n"

_SECRET = re.compile(
    r"-----BEGIN [^-]*-----(?s:.*?)(?:-----END [^-]*-----|\Z)"
    r"|eyJ[\w-]{8,}(?:\.[\w-]*)*"  # a JSON object in base64url: tokens
    r"|energent_[a-z0-9-]{1,30}_[\w-]{1,64}?_key_[0-9a-f]{32}_\w+"  # an API key
    r"|(?:[a-z]{2,4}1|whsec|(?<![A-Za-z0-9])(?:sk|rk|pk))_[\w-]{8,}"
    r"|(?P<name>(?i:password|secret|token|authorization|api[-_]?key|signature)\\*[\"']?\s*[:=]\s*)"
    r"(?:(?P<opening>[\[(]?b?(?P<quote>\\*[\"']))(?s:.*?)(?=(?<!\\)(?P=quote)|\Z)"  # to the closing quote
    r"|(?:(?i:bearer|basic)\s+)?[^\s\"';&}]+)"
    r"|(?<![A-Za-z0-9])(?i:bearer|basic)\s+\S+"
)
_EMAIL = re.compile(r"[\w.+-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")


def redact(text: str) -> str:
    """The text, cut to `MAX_TEXT`, without tokens, keys, e-mail addresses and values after names like
    `password=`.
    """
    text = _SECRET.sub(_named, text[:MAX_TEXT])
    return _EMAIL.sub(REDACTED, text) if "@" in text or "%40" in text else text


def stack_of(failure: BaseException) -> str:
    """The stack trace in the format of `traceback.format_exc`, the only one that Error Reporting reads.

    The message of an exception that is not ours is left out, since it may quote anything. At most five
    chained exceptions are kept, each with its innermost fifty frames.
    """
    parts: list[str] = []
    seen: BaseException | None = failure
    caused = False
    for _ in range(_MAX_CHAIN):
        if seen is None:
            break
        if parts:
            parts.append(_CAUSED if caused else _MEANWHILE)
        frames = "".join(traceback.format_list(traceback.extract_tb(seen.__traceback__, -_MAX_FRAMES)))
        parts.append(f"Traceback (most recent call last):\n{frames}{redact(_last_line(seen))}")
        caused = seen.__cause__ is not None
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "".join(reversed(parts))


def _named(found: "re.Match[str]") -> str:
    return (found["name"] or "") + (found["opening"] or "") + REDACTED


def _last_line(failure: BaseException) -> str:
    kind = type(failure)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(failure, OSError) and failure.strerror:
        return f"{name}: {failure.strerror}"
    if not kind.__module__.startswith(_OURS):
        return f"{name}: {REDACTED}"
    return f"{name}: {failure}" if str(failure) else name
