"""Slugs: the short name of a tenant, typed at sign-in, printed on invoices, never given twice."""

import re

from shared.errors import invalid

SLUG = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")

# fmt: off
RESERVED = frozenset(
    {
        "abuse", "account", "accounts", "admin", "administrator", "api", "app", "assets", "auth",
        "autoconfig", "autodiscover", "billing", "cdn", "console", "dashboard", "default", "dev", "docs",
        "energent", "energent-ai", "event", "events", "ftp", "health", "help", "host", "hostmaster",
        "imap", "internal", "invoice", "invoices", "kube-node-lease", "kube-public", "kube-system",
        "local", "localhost", "login", "mail", "metrics", "none", "null", "oauth", "oauth2", "operator",
        "operators", "platform", "pop3", "postmaster", "production", "public", "root", "security",
        "shared", "signin", "signup", "smtp", "staging", "static", "status", "support", "system",
        "tenant", "tenants", "test", "undefined", "webmaster", "well-known", "www",
    }
)
# fmt: on
"""Words of the platform, of mail (RFC 2142) and of the cluster, where a slug may become a namespace."""


def checked(text: str) -> str:
    """The slug itself: 3 to 40 of a-z, 0-9 and inner hyphens, a letter first. Raises Invalid."""
    if SLUG.fullmatch(text) is None:
        raise invalid(
            "/slug",
            "invalid_slug",
            "Use 3 to 40 of a-z, 0-9 and -, with a letter first and no hyphen last.",
        )
    if text in RESERVED:
        raise invalid("/slug", "reserved_slug", "This word is reserved. Choose another.")
    return text
