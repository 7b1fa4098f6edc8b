"""The pages that a browser is shown."""
