"""A stand-in for Secret Manager over gRPC, made of the client library's own types; everything is in memory.

Stricter than Google's: `latest` and other names for a version are refused, because nothing here may use them.
"""
