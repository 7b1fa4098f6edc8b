"""The settings of the mail server."""

import pytest

from shared import settings, smtp_settings
from shared.settings import SecretRef
from shared.smtp_settings import Smtp

LEAST = {"SMTP_HOST": "mail.example.com", "SMTP_FROM": "no-reply@example.com"}
LOGIN = {"SMTP_USER": "energent", "SMTP_PASSWORD_SECRET": "smtp-password/3"}


def test_without_a_host_no_mail_leaves() -> None:
    assert smtp_settings.read({}) is None


def test_host_and_sender_are_enough() -> None:
    sender = "no-reply@example.com"
    assert smtp_settings.read(LEAST) == Smtp("mail.example.com", 587, "starttls", "", None, sender)
    wanted = Smtp("mail.example.com", 465, "implicit", "energent", SecretRef("smtp-password", 3), sender)
    assert smtp_settings.read(LEAST | LOGIN | {"SMTP_TLS": "implicit"}) == wanted
    chosen = smtp_settings.read(LEAST | {"SMTP_PORT": "2525"})
    assert chosen is not None
    assert chosen.port == 2525


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SMTP_FROM": ""}, "SMTP_FROM"),
        ({"SMTP_FROM": "Energent <no-reply@example.com>"}, "SMTP_FROM"),
        ({"SMTP_FROM": "a@b.test\r\nBcc: c@d.test"}, "SMTP_FROM"),
        ({"SMTP_HOST": "mail.example.com:25"}, "SMTP_HOST"),
        ({"SMTP_HOST": "-x"}, "SMTP_HOST"),
        ({"SMTP_TLS": "none"}, "SMTP_TLS"),
        ({"SMTP_PORT": "0"}, "SMTP_PORT"),
        ({"SMTP_PORT": "65536"}, "SMTP_PORT"),
        ({"SMTP_PORT": "smtp"}, "SMTP_PORT"),
        ({"SMTP_USER": "energent"}, "SMTP_PASSWORD_SECRET"),
        ({"SMTP_PASSWORD_SECRET": "smtp-password/1"}, "SMTP_USER"),
        (LOGIN | {"SMTP_PASSWORD_SECRET": "hunter2"}, "SMTP_PASSWORD_SECRET"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(settings.Wrong, match=named) as wrong:
        smtp_settings.read(LEAST | changes)
    assert "hunter2" not in str(wrong.value)
