"""django-oauth-toolkit on SQLite: one confidential client, whose secret is kept as it is.

`python django_oauth.py` makes the database in the folder PEER_FOLDER and prints a line of JSON;
`gunicorn django_oauth:application` serves it.
"""

import json
import os
import secrets
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

settings.configure(
    SECRET_KEY=secrets.token_hex(32),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(os.environ["PEER_FOLDER"]) / "peer.db",
            "CONN_MAX_AGE": None,
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"},
        }
    },
    USE_TZ=True,
    OAUTH2_PROVIDER={"SCOPES": {"usage:read": "Read the usage"}},
)
django.setup()
urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
application = get_wsgi_application()


def prepare() -> dict[str, str]:
    """Client id and secret."""
    from oauth2_provider.models import Application  # noqa: PLC0415 - after the set-up

    call_command("migrate", verbosity=0)
    secret = secrets.token_hex(32)
    client = Application.objects.create(
        client_type="confidential",
        authorization_grant_type="client-credentials",
        client_secret=secret,
        hash_client_secret=False,
    )
    return {"client_id": client.client_id, "client_secret": secret}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(prepare()) + "\n")
