"""OAuth 2 and OpenID Connect: clients, grants, tokens, introspection, discovery."""
