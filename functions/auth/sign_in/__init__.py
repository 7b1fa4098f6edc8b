"""The first factor: passwords and passkeys, and the brake on guessing."""
