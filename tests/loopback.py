"""HTTP on this machine, for what asks again and again: nothing is encrypted."""

import ssl

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""`verify` of an httpx client, which otherwise spends 20 ms on the world's certificates each time."""
