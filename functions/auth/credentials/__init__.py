"""The secrets and keys of service accounts and OAuth clients."""
