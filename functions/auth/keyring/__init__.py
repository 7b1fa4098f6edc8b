"""Key rings: made, turned and removed; the JWKS that others verify with."""
