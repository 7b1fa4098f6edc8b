"""Recovery codes: what is left where every other factor is lost. Ten of sixty bits, each good once."""

COUNT = 10
BYTES = 8
_CHARACTERS = 12
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without the letters that are taken for another one (Crockford)."""


def text(random: bytes) -> str:
    """A code as it is shown, `XXXX-XXXX-XXXX`, of `BYTES` random bytes: twelve times five bits of them."""
    number = int.from_bytes(random)
    code = "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_CHARACTERS))
    return "-".join(code[start : start + 4] for start in range(0, _CHARACTERS, 4))


def normal(given: str) -> str | None:
    """The one form of a code however it was typed: case, spaces, hyphens and look-alikes do not count.

    None for what can be no code.
    """
    code = given.upper().translate(str.maketrans("OIL", "011", "- "))
    return code if len(code) == _CHARACTERS and set(code) <= set(_ALPHABET) else None
