"""Second factors, step-up, and what a tenant demands of its people's."""
