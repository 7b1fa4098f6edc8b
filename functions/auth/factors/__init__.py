"""The second factors of people, and what a tenant demands of its people."""
