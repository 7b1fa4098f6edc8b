"""The roles of a tenant's people."""
