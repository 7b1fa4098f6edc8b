"""The HTTP door of auth: one table of each subject."""

from functions.auth import (
    api_key_routes,
    audit_routes,
    client_routes,
    device_routes,
    factor_routes,
    key_routes,
    machine_routes,
    oauth_routes,
    page_routes,
    people_routes,
    profile_routes,
    role_routes,
    sign_in_routes,
)
from functions.auth.use_cases import UseCases
from shared.http import Route


def table(use_cases: UseCases) -> tuple[Route, ...]:
    return (
        *oauth_routes.table(use_cases),
        *page_routes.table(use_cases),
        *device_routes.table(use_cases),
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
