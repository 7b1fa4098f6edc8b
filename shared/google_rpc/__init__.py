"""Google's gRPC messages and channels without Google's client libraries, whose import is slow.

docs/decisions/0024-google-without-clients.md weighs the costs.
"""
