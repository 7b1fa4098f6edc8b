"""Nobody writes into the headers of a mail: no address, no name, whatever a decoder makes of it."""

from email import message_from_bytes
from email.policy import SMTPUTF8

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.auth.domain.email import canonical
from functions.auth.mail.mail_rendering import Letter, render
from functions.auth.mail.mailbox import LOCAL_SENDER
from shared.errors import Invalid
from shared.event_door import Rejected
from tests.tokens import NOW

LINK = "https://api.example.test/invitation#token=inv1_x"
NAMES = ["Subject", "From", "To", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"]
BCC_WORD = "=?utf-8?q?a=0d=0abcc=3ae=40x.cc?="
BODY_WORD = "=?utf-8?q?a=0d=0a=0d=0ahello?="

PIECES = [
    BCC_WORD,
    BODY_WORD,
    "=?utf-8?b?DQpCY2M6IGVAeC5jYw==?=",
    "=?us-ascii?q?=0a?=",
    "=?",
    "?=",
    "\uff1d\uff1f",  # both in full width, which NFKC narrows
    "=0d=0a",
    "=",
    "?",
    "+",
    ".",
    "_",
    "e",
    "\u00e9",
    "\u6f22",
    "{link}",
    "%0d%0a",
    "'",
]
WHAT_NAMES_ADD = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\x0b",
    "\x85",
    "\u2028",
    "\r\n\r\n",
    "--==evt_1",
    "Bcc: e@x.cc",
    "<b>",
]

locals_ = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
domains = st.sampled_from(
    ["ok.example", "b\u00fccher.test", "b" * 63 + "." + "c" * 63 + "." + "d" * 50 + ".test"]
)
names = st.lists(st.sampled_from(PIECES + WHAT_NAMES_ADD), max_size=8).map("".join) | st.text(max_size=200)


def rendered(email: str, name: str = "Acme") -> bytes:
    words = {
        "tenant": name,
        "role": "member",
        "link": LINK,
        "code": "x",
        "action": LINK,
        "expires": "soon",
        "slug": "acme",
    }
    return render(Letter("invitation", email, NOW, words), "evt_1", LOCAL_SENDER)


def lines(mail: bytes) -> list[bytes]:
    """The header as whoever splits it at line ends reads it, decoding nothing."""
    return mail.split(b"\r\n\r\n")[0].splitlines()


@example(f"{BCC_WORD}@ok.example")
@example("\uff1d\uff1futf-8?q?a=0d=0abcc=3ae=40x.cc?=@ok.example")
@given(st.builds("{}@{}".format, locals_, domains))
def test_an_address_is_refused_or_is_all_that_its_header_says(typed: str) -> None:
    try:
        address = canonical(typed)
    except Invalid:
        return
    header = lines(rendered(address))
    assert [line.split(b":")[0].decode() for line in header] == NAMES
    assert f"To: {address}".encode() in header


@example("=?utf-8?q?a=0d=0aBcc:=20evil=40x.com?=")
@given(names)
def test_a_name_changes_nothing_but_the_text(name: str) -> None:
    mail = rendered("bob@acme.test", name)
    assert lines(mail) == lines(rendered("bob@acme.test"))
    read = message_from_bytes(mail, policy=SMTPUTF8)
    assert [part.get_content_type() for part in read.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert read.defects == []


@pytest.mark.parametrize("local", [BCC_WORD, BODY_WORD, "=?utf-8?q?eve?=", "=?utf-8?q?eve=40x.cc=2c?="])
def test_a_stored_address_that_its_header_would_not_say_is_not_sent(local: str) -> None:
    with pytest.raises(Rejected) as rejected:
        rendered(f"{local}@ok.example")
    assert rejected.value.reason == "unsafe_mail"
    assert "utf-8" not in str(rejected.value)
