"""firestore.rules refuse every client; IAM's callers, as the functions are, pass them by."""

from pathlib import Path
from typing import Any

import httpx

from shared.ids import new_id

RULES = Path(__file__).resolve().parents[2] / "deploy" / "firestore.rules"


def test_a_client_reads_and_writes_nothing(firestore_emulator: str) -> None:
    project = new_id("rules").replace("_", "-")
    documents = f"http://{firestore_emulator}/v1/projects/{project}/databases/(default)/documents"
    owner = {"authorization": "Bearer owner"}
    body: dict[str, Any] = {"fields": {"doc": {"mapValue": {"fields": {}}}}}
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert client.patch(f"{documents}/tenants/t/users/u", json=body).status_code == 200, (
            "open without rules"
        )
        loaded = client.put(
            f"http://{firestore_emulator}/emulator/v1/projects/{project}:securityRules",
            json={"rules": {"files": [{"name": "firestore.rules", "content": RULES.read_text()}]}},
        )
        assert loaded.status_code == 200, loaded.text
        for path in ("tenants/t", "tenants/t/users/u", "keyring/signing", "outbox/auth-0/entries/e"):
            assert client.get(f"{documents}/{path}").status_code == 403
            assert client.patch(f"{documents}/{path}", json=body).status_code == 403
            assert client.delete(f"{documents}/{path}").status_code == 403
        assert client.get(f"{documents}/tenants").status_code == 403
        assert client.get(f"{documents}/tenants/t/users/u", headers=owner).status_code == 200
