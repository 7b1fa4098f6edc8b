"""The people of a tenant: invitations, roles, profiles, passwords, addresses."""
