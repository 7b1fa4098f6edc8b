"""The stand-in for Stripe, asked through Stripe's own client."""
