"""OAuth 2 and OpenID Connect: clients, grants, tokens, refresh, introspection, discovery."""
