"""Slugs: a tenant's unique short name, typed at sign-in and printed on invoices; never reused."""

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
"""Reserved words of the platform, of mail (RFC 2142) and of the cluster, where slugs may name namespaces."""


def checked(text: str) -> str:
    """Returns the slug: 3 to 40 of a-z, 0-9 and inner hyphens, starting with a letter. Raises Invalid."""
    if SLUG.fullmatch(text) is None:
        raise invalid(
            "/slug",
            "invalid_slug",
            "Use 3 to 40 of a-z, 0-9 and -, with a letter first and no hyphen last.",
        )
    if text in RESERVED:
        raise invalid("/slug", "reserved_slug", "This word is reserved. Choose another.")
    return text
