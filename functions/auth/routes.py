"""The HTTP door of auth: one table of each subject."""

from functions.auth import audit_routes
from functions.auth.factors import factor_routes
from functions.auth.hosted import device_routes, link_routes, page_routes, sign_out_routes
from functions.auth.keyring import key_routes
from functions.auth.machines import api_key_routes, machine_routes
from functions.auth.oauth import client_routes, oauth_routes
from functions.auth.people import people_routes, profile_routes
from functions.auth.roles import role_routes
from functions.auth.sign_in import sign_in_routes
from functions.auth.use_cases import UseCases
from shared.http import Route


def table(use_cases: UseCases) -> tuple[Route, ...]:
    return (
        *oauth_routes.table(use_cases),
        *page_routes.table(use_cases),
        *sign_out_routes.table(use_cases),
        *device_routes.table(use_cases),
        *link_routes.table(use_cases),
        *sign_in_routes.table(use_cases),
        *people_routes.table(use_cases),
        *profile_routes.table(use_cases),
        *role_routes.table(use_cases),
        *factor_routes.table(use_cases),
        *machine_routes.table(use_cases),
        *api_key_routes.table(use_cases),
        *audit_routes.table(use_cases),
        *client_routes.table(use_cases),
        *key_routes.table(use_cases),
    )
