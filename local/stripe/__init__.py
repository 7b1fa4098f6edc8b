"""A small stand-in for Stripe's HTTP API: customers, cards, invoices and their payments, events and webhooks.

It speaks one API version, the one that the installed `stripe` package is generated for, and checks requests
against the parameters that this package declares. It keeps its state in SQLite and listens on 127.0.0.1 only.
"""
