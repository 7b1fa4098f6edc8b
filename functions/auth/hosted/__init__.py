"""The hosted HTML pages: sign-in, sign-out, mailed links and the device flow."""
