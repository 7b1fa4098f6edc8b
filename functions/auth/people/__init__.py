"""The people of a tenant: invitations, profiles, passwords, addresses, sessions."""
