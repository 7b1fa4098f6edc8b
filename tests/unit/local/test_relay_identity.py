"""The relay's key pair is made once and kept private; its tokens are what the event door takes."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest

from local.relay_identity import Tokens, ensure_keys
from shared.caller import CallerCheck, FileKeys
from shared.errors import Forbidden
from tests.tokens import NOW, Time

ISSUER = "http://127.0.0.1/local-relay"
AUDIENCE = "http://127.0.0.1:9001"
EMAIL = "relay@local.invalid"


def tokens(data_dir: Path, clock: Time) -> Tokens:
    return Tokens(ensure_keys(data_dir).key, clock, issuer=ISSUER, email=EMAIL)


def test_the_keys_are_made_once_and_only_their_owner_reads_the_private_one(tmp_path: Path) -> None:
    files = ensure_keys(tmp_path / "data")
    before = (files.key.read_bytes(), files.jwks.read_bytes())
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert ensure_keys(tmp_path / "data") == files
    assert (files.key.read_bytes(), files.jwks.read_bytes()) == before
    assert b'"d"' not in before[1]
    assert sorted(path.name for path in files.key.parent.iterdir()) == ["jwks.json", "key.pem"]


def test_whoever_makes_them_at_the_same_time_gets_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(ensure_keys, [tmp_path] * 4))
    keys = {files.key.read_bytes() for files in made}
    assert len(keys) == 1
    CallerCheck(ISSUER, AUDIENCE, EMAIL, FileKeys(made[0].jwks), Time()).check(
        {"authorization": f"Bearer {tokens(tmp_path, Time()).token(AUDIENCE)}"}
    )


def test_a_lost_public_file_is_made_from_the_private_one(tmp_path: Path) -> None:
    files = ensure_keys(tmp_path)
    before = files.jwks.read_bytes()
    files.jwks.unlink()
    assert ensure_keys(tmp_path).jwks.read_bytes() == before


def test_its_token_is_taken_by_the_door_it_is_for_and_by_no_other(tmp_path: Path) -> None:
    clock = Time()
    headers = {"authorization": f"Bearer {tokens(tmp_path, clock).token(AUDIENCE)}"}
    keys = FileKeys(ensure_keys(tmp_path).jwks)
    CallerCheck(ISSUER, AUDIENCE, EMAIL, keys, clock).check(headers)
    with pytest.raises(Forbidden):
        CallerCheck(ISSUER, "http://127.0.0.1:9002", EMAIL, keys, clock).check(headers)


def test_a_token_serves_for_55_minutes_and_lasts_an_hour(tmp_path: Path) -> None:
    clock = Time()
    made = tokens(tmp_path, clock)
    first = made.token(AUDIENCE)
    claims = jwt.decode(first, options={"verify_signature": False})
    assert (claims["iat"], claims["exp"]) == (int(NOW.timestamp()), int(NOW.timestamp()) + 3600)
    clock.move(55 * 60 - 1)
    assert made.token(AUDIENCE) == first
    clock.move(1)
    assert made.token(AUDIENCE) != first
    assert made.token("http://127.0.0.1:9002") != made.token(AUDIENCE)
